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
}

/// The page to log in with, leading to `back`.
///
/// # Errors
/// Where it cannot be written.
pub fn page(look: &Look, back: &str) -> Result<String, ConsoleError> {
    let page = Page {
        look,
        w: look.words(),
        here: "",
        back,
    };
    Ok(page.render()?)
}
