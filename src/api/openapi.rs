//! The OpenAPI description, made of the table of calls and of the codes of failures.
//!
//! The shapes of bodies and answers are in `openapi/schemas.json`; a test holds real answers to them.
//! There is no derive for them: answers are written by hand, and no type of ours has their shape.

use crate::api::failure::Code;
use crate::api::routes::{ROUTES, Route};
use serde_json::{Map, Value, json};

/// The shapes of bodies and answers.
const SCHEMAS: &str = include_str!("openapi/schemas.json");

/// The description of what is asked over gRPC, for people and their tools.
pub const PROTO: &str = include_str!("grpc/varsel.v1.proto");

/// The description as JSON.
pub fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(route.method.to_lowercase(), operation(route));
        }
    }
    let mut schemas: Value = serde_json::from_str(SCHEMAS).unwrap_or_default();
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.word()).collect();
    if let Some(code) = schemas.pointer_mut("/Problem/properties/code") {
        *code = json!({"type": "string", "enum": codes});
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Varsel's risk API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What the ACS and the authorization host ask, and the life of holds. `varsel-deadline-ms` bounds a call, `x-request-id` names it.",
            "license": {"name": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut responses = Map::new();
    let kind = if route.answer == "Text" {
        "text/plain"
    } else {
        "application/json"
    };
    responses.insert("200".to_owned(), answered("as asked", route.answer, kind));
    if route.body.is_some() && !route.judges {
        let text = "in the log, and not shown yet";
        responses.insert(
            "202".to_owned(),
            answered(text, route.answer, "application/json"),
        );
    }
    let door: &[Code] = if route.scopes.is_empty() {
        &[]
    } else {
        &[Code::Unauthorized, Code::Forbidden, Code::RateLimited]
    };
    let mut codes = route.failures.to_vec();
    for code in door.iter().chain(&[Code::BadRequest, Code::Internal]) {
        if !codes.contains(code) {
            codes.push(*code);
        }
    }
    for code in codes {
        let status = code.status().to_string();
        let told = format!("`{}`: {}", code.word(), code.title());
        match responses
            .get_mut(&status)
            .and_then(|r| r.get_mut("description"))
        {
            Some(text) => *text = format!("{}; {told}", text.as_str().unwrap_or_default()).into(),
            None => {
                responses.insert(
                    status,
                    answered(&told, "Problem", "application/problem+json"),
                );
            }
        }
    }
    let mut operation = json!({
        "summary": route.says,
        "operationId": name_of(route),
        "parameters": parameters(route),
        "responses": responses,
        // Without `api.clients_file` nobody is asked for a token.
        "security": if door.is_empty() { json!([]) } else { json!([{"bearer": []}, {}]) },
        "x-scopes": route.scopes.iter().map(|scope| scope.word()).collect::<Vec<_>>(),
    });
    if let (Some(body), Some(operation)) = (route.body, operation.as_object_mut()) {
        let content = json!({"application/json": {"schema": named(body)}});
        let required = route.judges || matches!(body, "Switch" | "Release" | "Verdict");
        operation.insert(
            "requestBody".to_owned(),
            json!({"required": required, "content": content}),
        );
    }
    operation
}

fn answered(text: &str, schema: &str, kind: &str) -> Value {
    json!({"description": text, "content": {kind: {"schema": named(schema)}}})
}

fn named(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn name_of(route: &Route) -> String {
    let words = route
        .path
        .split(['/', '.', '{', '}'])
        .filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    format!("{}_{}", route.method.to_lowercase(), words.join("_"))
}

fn parameters(route: &Route) -> Vec<Value> {
    let text = json!({"type": "string"});
    let mut all: Vec<Value> = route
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": text}))
        .collect();
    for (name, says) in route.query {
        let schema = if *name == "limit" {
            json!({"type": "integer", "minimum": 1, "maximum": 200})
        } else {
            text.clone()
        };
        all.push(json!({"name": name, "in": "query", "description": says, "schema": schema}));
    }
    let ms = json!({"type": "integer", "minimum": 0});
    for (name, says, schema) in [
        ("varsel-deadline-ms", "how long the caller can wait", ms),
        ("x-request-id", "names the call; given back", text),
    ] {
        all.push(json!({"name": name, "in": "header", "description": says, "schema": schema}));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_described_and_every_schema_named_is_there() {
        let document = document();
        for route in ROUTES {
            let path = &document["paths"][route.path];
            assert!(
                path[route.method.to_lowercase()].is_object(),
                "{}",
                route.path
            );
        }
        let text = document.to_string();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for piece in text.split("#/components/schemas/").skip(1) {
            let name = piece.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "{name}");
        }
        assert!(text.contains("owner_unreachable"));
    }

    #[test]
    fn names_of_operations_are_their_own() {
        let mut names: Vec<String> = ROUTES.iter().map(name_of).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ROUTES.len());
    }
}
