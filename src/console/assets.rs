//! The files that the pages name: one style sheet, one script, one picture. They are part of the binary, and nothing is
//! fetched from elsewhere.

/// A file as it is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// Its media type.
    pub kind: &'static str,
    /// Its bytes.
    pub body: &'static str,
}

/// The file of a name, below `/console/assets/`.
pub fn find(name: &str) -> Option<Asset> {
    let (kind, body) = match name {
        "console.css" => (
            "text/css; charset=utf-8",
            include_str!("assets/console.css"),
        ),
        "console.js" => (
            "text/javascript; charset=utf-8",
            include_str!("assets/console.js"),
        ),
        "varsel.svg" => ("image/svg+xml", include_str!("assets/varsel.svg")),
        _ => return None,
    };
    Some(Asset { kind, body })
}
