//! The page to log in with. What it takes to get in is decided at the door, and that it is one answer for all that is
//! wrong in `entry`.

use super::look::{ConsoleError, Look};
use super::words::Words;
use askama::Template;

#[derive(Template)]
#[template(path = "login.html", config = "src/console/askama.toml")]
struct Page<'p> {
    look: &'p Look,
    w: &'static Words,
    here: &'static str,
    back: &'p str,
    provider: Option<&'p str>,
}

/// The page to log in with, leading to `back`; `provider` is what people call the one by way of which they may log in,
/// if there is one.
///
/// # Errors
/// Where it cannot be written.
pub fn page(look: &Look, back: &str, provider: Option<&str>) -> Result<String, ConsoleError> {
    let page = Page {
        look,
        w: look.words(),
        here: "",
        back,
        provider,
    };
    Ok(page.render()?)
}
