//! The starter book, built into the binary for whoever has no folder of rules.
//!
//! The table names every file of `rules/` that [`super::load`] would read; a test compares the
//! two, so that a new file cannot be left out.

use crate::problem::Problems;
use crate::rulebook::page::Source;
use crate::rulebook::{Loaded, compile};

macro_rules! starter {
    ($($name:literal),+ $(,)?) => {
        /// Name and text of each file.
        const FILES: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../rules/", $name)))),+];
    };
}

starter! {
    "cards.yaml",
    "challenges.yaml",
    "eid.yaml",
    "enrolment.yaml",
    "features.yaml",
    "groups.yaml",
    "honest.yaml",
    "lists/compromised-cards.txt",
    "lists/hosting-asns.txt",
    "lists/trusted-merchants.txt",
    "policy.yaml",
    "rates.yaml",
    "transfers.yaml",
    "unusual.yaml",
}

/// The starter book that the binary was built with.
///
/// # Errors
/// None in a binary whose tests passed.
pub fn embedded() -> Result<Loaded, Problems> {
    let files = FILES
        .iter()
        .map(|(name, text)| Source {
            name: (*name).to_owned(),
            shown: format!("(built in) rules/{name}"),
            text: (*text).to_owned(),
        })
        .collect();
    compile(files)
}

#[cfg(test)]
mod tests {
    use crate::rulebook::{embedded, load};
    use std::path::Path;

    #[test]
    fn the_built_in_book_is_the_folder_rules() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
        let folder = load(&folder).unwrap_or_else(|problems| panic!("{problems}"));
        let built_in = embedded().unwrap_or_else(|problems| panic!("{problems}"));
        let names = |book: &crate::rulebook::Loaded| {
            book.files
                .iter()
                .map(|f| f.name.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&folder), names(&built_in));
        assert_eq!(folder.book.version, built_in.book.version);
    }
}
