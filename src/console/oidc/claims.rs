//! From what a provider says of somebody to who they are here: their name, and the role that their groups give.
//!
//! The claims were checked before. Nothing is guessed: without a name or a role nobody gets in.

use super::Turned;
use crate::config::Oidc;
use crate::console::people;
use crate::store::people::Provider;
use serde_json::{Map, Value};

/// The longest `sub` (OpenID Connect Core 1.0, 2: 255 ASCII characters).
const MAX_SUBJECT: usize = 255;

/// Somebody, as the provider describes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// Who vouches for them.
    pub provider: Provider,
    /// What they are called.
    pub name: String,
    /// The word of their role; nothing where no group of theirs gives one.
    pub role: Option<&'static str>,
}

/// Reads the claims.
///
/// # Errors
/// Where there is no `sub`, or no name that can be one here.
pub fn read(settings: &Oidc, claims: &Map<String, Value>) -> Result<Guest, Turned> {
    let text = |claim: &str| claims.get(claim).and_then(Value::as_str);
    let fits = |subject: &&str| {
        (1..=MAX_SUBJECT).contains(&subject.len()) && subject.bytes().all(|b| b.is_ascii_graphic())
    };
    let subject = text("sub").filter(fits).ok_or(Turned::Untrusted)?;
    // Never another claim in its place: names that are told apart by nothing but chance would meet.
    let name = text(&settings.name_claim).filter(|name| people::is_name(name));
    Ok(Guest {
        provider: Provider {
            issuer: settings.issuer.clone(),
            subject: subject.to_owned(),
        },
        name: name.ok_or(Turned::NoName)?.to_owned(),
        role: role(settings, claims),
    })
}

/// The strongest role that a group of theirs gives.
fn role(settings: &Oidc, claims: &Map<String, Value>) -> Option<&'static str> {
    let groups: Vec<&str> = match claims.get(&settings.roles_claim)? {
        Value::String(group) => vec![group],
        Value::Array(groups) => groups.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    let gives = |given: &[String]| given.iter().any(|group| groups.contains(&&**group));
    let found = settings.roles.iter().find(|(_, given)| gives(given));
    found.map(|(role, _)| *role)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use serde_json::json;

    fn settings() -> Oidc {
        let text = "[kafka]\nbootstrap = \"b:1\"\n[api]\naudit_file = \"a\"\n[console]\norigin = \"https://v.bank.example\"\n\
            [console.oidc]\nissuer = \"https://id.bank.example\"\nclient_id = \"varsel\"\n\
            [console.oidc.roles]\nread_only = [\"staff\"]\nauditor = [\"audit\"]\nanalyst = [\"fraud\", \"night\"]\n\
            rule_author = [\"rules\"]\nadmin = [\"boss\"]\n";
        let config = Config::parse("varsel.toml", text).unwrap();
        config.console.unwrap().oidc.unwrap()
    }

    fn guest(claims: Value) -> Result<Guest, Turned> {
        let Value::Object(claims) = claims else {
            panic!("claims are an object")
        };
        read(&settings(), &claims)
    }

    fn role_of(groups: &Value) -> Option<&'static str> {
        guest(json!({"sub": "1", "preferred_username": "eva", "groups": groups}))
            .unwrap()
            .role
    }

    #[test]
    fn of_several_groups_the_strongest_role_counts_and_strange_ones_give_none() {
        for (groups, role) in [
            (json!("fraud"), Some("analyst")),
            (json!(["staff", "night", "audit"]), Some("analyst")),
            (json!(["staff", "boss"]), Some("admin")),
            (json!(["rules", "audit"]), Some("rule_author")),
            (json!(["audit", "staff"]), Some("auditor")),
            (json!(["staff", 7, null]), Some("read_only")),
            (json!(["Fraud", "fraud ", "frau"]), None),
            (json!("staff fraud"), None),
            (json!([]), None),
            (json!([["boss"]]), None),
            (json!({"boss": true}), None),
            (json!(true), None),
        ] {
            assert_eq!(role_of(&groups), role, "{groups}");
        }
        let no_groups = guest(json!({"sub": "1", "preferred_username": "eva"}));
        assert_eq!(no_groups.unwrap().role, None);
    }

    #[test]
    fn every_role_that_a_group_may_give_is_one_of_people() {
        let roles = settings().roles;
        assert_eq!(roles.len(), people::ROLES.len());
        assert!(
            roles
                .iter()
                .all(|(word, _)| people::role(word).is_some_and(|role| role.word() == *word))
        );
    }

    #[test]
    fn without_a_name_or_a_subject_that_can_be_one_nobody_comes() {
        let eva = json!({"sub": "1", "preferred_username": "eva", "email": "eva@bank.example"});
        let found = guest(eva).unwrap();
        assert_eq!((&*found.name, &*found.provider.subject), ("eva", "1"));
        for name in [
            json!(null),
            json!("Eva K"),
            json!(""),
            json!("<b>"),
            json!(7),
        ] {
            let claims =
                json!({"sub": "1", "preferred_username": name, "name": "eva", "email": "e"});
            assert_eq!(guest(claims), Err(Turned::NoName));
        }
        for subject in [json!(null), json!(""), json!("a b"), json!("x".repeat(256))] {
            let claims = json!({"sub": subject, "preferred_username": "eva"});
            assert_eq!(guest(claims), Err(Turned::Untrusted));
        }
    }
}
