//! The rule book: from a folder of YAML files to a checked, compiled [`Book`].
//!
//! All files are read and every fault of all of them is told in one run; a book with a fault is
//! not used at all. What the folder holds is described in `rules/README.md`. Judging events is
//! the engine's business, not this module's.

mod condition;
mod examples;
mod features;
mod groups;
mod lists;
mod page;
mod plan;
mod policy;
mod rules;
mod schema;
mod sequence;
mod starter;
mod trial;
mod yaml;

#[cfg(test)]
mod tests;

pub use examples::{Example, Given};
pub use page::{Source, show_span};
pub use plan::plan;
pub use rules::Written;
pub use schema::{Kind as SchemaKind, schema};
pub use starter::embedded;
pub use trial::{Surprise, Told, Verdict, conditions, test};

use crate::domain::currency::RateTable;
use crate::engine::book::{Book, List, MccGroups, Rule};
use crate::engine::vocabulary;
use crate::expr::Scheme;
use crate::problem::{Problem, Problems};
use page::Page;
use policy::Paper;
use rules::Shelf;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use yaml::Node;

/// The most files of a rule book.
const MAX_FILES: usize = 512;
/// The files that are no rule families, and that must be there.
const STANDARD: [&str; 4] = ["policy.yaml", "groups.yaml", "rates.yaml", "features.yaml"];
/// What `in_list` may name: list numbers are 16 bits, and every list is held in memory.
const MAX_LISTS: usize = 256;

/// A rule book with what belongs to it besides evaluation.
#[derive(Debug)]
pub struct Loaded {
    /// What the engine evaluates.
    pub book: Book,
    /// What people need of each rule, in the order of [`Book::rules`].
    pub notes: Vec<Notes>,
    /// The files it was read from, sorted by name.
    pub files: Vec<Source>,
}

/// What people need of a rule.
#[derive(Debug)]
pub struct Notes {
    /// The rule's id.
    pub id: String,
    /// The family it stands in.
    pub family: String,
    /// `file:line`.
    pub place: String,
    /// Its examples.
    pub examples: Vec<Example>,
}

/// Reads and checks the rule book in a folder.
///
/// # Errors
/// Every fault found in all its files.
pub fn load(dir: &Path) -> Result<Loaded, Problems> {
    let mut problems = Problems::new();
    let files = read(dir, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    compile(files)
}

/// The rule book that a command means: the folder named, else the folder `rules` where the command
/// stands, else the starter book built in.
///
/// # Errors
/// Every fault found in all its files.
pub fn chosen(dir: Option<&Path>) -> Result<Loaded, Problems> {
    let here = Path::new("rules");
    match dir {
        Some(dir) => load(dir),
        None if here.is_dir() => load(here),
        None => embedded(),
    }
}

/// Reads the files of a rule book: `*.yaml` in the folder and `lists/*.txt`.
fn read(dir: &Path, problems: &mut Problems) -> Vec<Source> {
    let mut files = Vec::new();
    for (sub, ending) in [("", ".yaml"), ("lists", ".txt")] {
        let folder = if sub.is_empty() {
            dir.to_owned()
        } else {
            dir.join(sub)
        };
        let shown = folder.display().to_string();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(_) if !sub.is_empty() && !folder.exists() => continue,
            Err(error) => {
                let text = format!("this folder cannot be read: {error}");
                let help = "name the folder of the rule book with `--rules DIR`";
                problems.push(Problem::whole(shown, text).with_help(help));
                continue;
            }
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort_unstable();
        for name in names {
            let path = folder.join(&name);
            let shown = path.display().to_string();
            if name.ends_with(".yml") {
                let help = "name it `.yaml`: other files are not read";
                problems.push(Problem::whole(shown, "this file is left out").with_help(help));
            } else if name.ends_with(ending) && path.is_file() {
                let name = if sub.is_empty() {
                    name
                } else {
                    format!("{sub}/{name}")
                };
                files.extend(read_file(&path, name, shown, problems));
            }
        }
    }
    if files.len() > MAX_FILES {
        let text = format!("{} files, more than {MAX_FILES}", files.len());
        problems.push(Problem::whole(dir.display().to_string(), text));
    }
    files
}

fn read_file(path: &Path, name: String, shown: String, problems: &mut Problems) -> Option<Source> {
    let size = fs::metadata(path).map_or(0, |meta| meta.len());
    if usize::try_from(size).unwrap_or(usize::MAX) > yaml::MAX_FILE_BYTES {
        problems.push(Problem::whole(shown, "this file is larger than 1 MiB"));
        return None;
    }
    let fault = match fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => return Some(Source { name, shown, text }),
        Ok(Err(_)) => "this file is not UTF-8 text".to_owned(),
        Err(error) => format!("this file cannot be read: {error}"),
    };
    problems.push(Problem::whole(shown, fault));
    None
}

/// Checks and compiles the files of a rule book; [`load`] without the folder.
///
/// # Errors
/// Every fault found in all files.
pub fn compile(mut files: Vec<Source>) -> Result<Loaded, Problems> {
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let mut problems = Problems::new();
    let trees = trees(&files, &mut problems);
    let mut desk = Desk {
        files: &files,
        trees: &trees,
        problems: &mut problems,
    };
    let ground = desk.ground();
    let (scheme, declared) = desk.scheme(&ground);
    let written = desk.rules(scheme.as_ref());
    let (Some(paper), Some(groups), Some(rates), Some(scheme), true) = (
        ground.paper,
        ground.groups,
        ground.rates,
        scheme,
        problems.is_empty(),
    ) else {
        return Err(problems);
    };
    let (rules, notes) = in_order(written);
    let book = Book {
        version: version(&paper.name, &files),
        scheme,
        rules,
        aggregates: declared.into_iter().map(|d| d.aggregate).collect(),
        mcc_groups: groups,
        rates,
        lists: ground.lists,
        policy: paper.policy,
    };
    Ok(Loaded { book, notes, files })
}

/// The trees of all YAML files, by name; a file that is no YAML has its faults told and no tree.
fn trees(files: &[Source], problems: &mut Problems) -> BTreeMap<String, Node> {
    let mut trees = BTreeMap::new();
    for file in files.iter().filter(|file| file.name.ends_with(".yaml")) {
        match yaml::parse(&file.text) {
            Ok(tree) => {
                trees.insert(file.name.clone(), tree);
            }
            Err(faults) => {
                let mut page = Page::new(file, problems);
                for fault in faults {
                    page.note(fault.span, fault.message, fault.help.map(str::to_owned));
                }
            }
        }
    }
    trees
}

/// The files on which the rules stand.
struct Ground {
    paper: Option<Paper>,
    groups: Option<MccGroups>,
    rates: Option<RateTable>,
    lists: Vec<List>,
}

/// The files while they are put together.
struct Desk<'d> {
    files: &'d [Source],
    trees: &'d BTreeMap<String, Node>,
    problems: &'d mut Problems,
}

impl Desk<'_> {
    /// Reads one of the standard files; a missing one is a fault.
    fn standard<T>(&mut self, name: &str, read: impl FnOnce(&Node, &mut Page) -> T) -> Option<T> {
        let Some(file) = self.files.iter().find(|file| file.name == name) else {
            let folder = self
                .files
                .first()
                .and_then(|f| f.shown.strip_suffix(&f.name));
            let shown = format!("{}{name}", folder.unwrap_or_default());
            let help = "the starter book has one to copy: see `rules/README.md`";
            self.problems
                .push(Problem::whole(shown, "this file is missing").with_help(help));
            return None;
        };
        let tree = self.trees.get(name)?;
        Some(read(tree, &mut Page::new(file, self.problems)))
    }

    fn ground(&mut self) -> Ground {
        let paper = self.standard("policy.yaml", policy::policy).flatten();
        let base = paper.as_ref().map(|p| p.base);
        let groups = self.standard("groups.yaml", groups::groups).flatten();
        let rates = self
            .standard("rates.yaml", |n, page| policy::rates(n, base, page))
            .flatten();
        let lists = self.lists();
        Ground {
            paper,
            groups,
            rates,
            lists,
        }
    }

    fn lists(&mut self) -> Vec<List> {
        let mut lists = Vec::new();
        for file in self.files {
            let Some(name) = file
                .name
                .strip_prefix("lists/")
                .and_then(|n| n.strip_suffix(".txt"))
            else {
                continue;
            };
            if !lists::is_name(name) {
                let text = format!("`{name}` is no name of a list");
                let help = "kebab-case, such as `trusted-merchants.txt`";
                self.problems
                    .push(Problem::whole(&file.shown, text).with_help(help));
            }
            lists.push(lists::list(name, &mut Page::new(file, self.problems)));
        }
        if let Some(extra) = self
            .files
            .iter()
            .filter(|f| f.name.starts_with("lists/"))
            .nth(MAX_LISTS)
        {
            let text = format!("more than {MAX_LISTS} lists");
            self.problems.push(Problem::whole(&extra.shown, text));
        }
        lists
    }

    /// Names and types for the rules. Nothing where `groups.yaml` or `features.yaml` could not be
    /// read: every name of theirs would look unknown.
    fn scheme(&mut self, ground: &Ground) -> (Option<Scheme>, Vec<features::Declared>) {
        let none = groups::none();
        let groups = ground.groups.as_ref().unwrap_or(&none);
        let mut scheme = Scheme::new();
        for field in vocabulary::fields(&groups.symbols) {
            // A name twice in the table of built-ins is a bug that a test of the vocabulary finds.
            let _ = scheme.add(field);
        }
        for (number, list) in (0_u16..).zip(&ground.lists) {
            let _ = scheme.add_list(list.name.clone(), number);
        }
        let built_ins = scheme.clone();
        let declared = self
            .standard("features.yaml", |n, page| {
                features::features(n, &built_ins, page)
            })
            .flatten();
        for one in declared.iter().flatten() {
            let _ = scheme.add(features::field(one));
        }
        let known = ground.groups.is_some() && declared.is_some();
        (known.then_some(scheme), declared.unwrap_or_default())
    }

    fn rules(&mut self, scheme: Option<&Scheme>) -> Vec<Written> {
        let mut shelf = Shelf {
            scheme,
            ids: BTreeMap::new(),
            rules: Vec::new(),
        };
        let mut families = 0;
        for file in self.files {
            if !file.name.ends_with(".yaml") || STANDARD.contains(&file.name.as_str()) {
                continue;
            }
            families += 1;
            if let Some(tree) = self.trees.get(&file.name) {
                rules::family(tree, &mut shelf, &mut Page::new(file, self.problems));
            }
        }
        if families == 0 {
            let folder = self
                .files
                .first()
                .and_then(|f| f.shown.strip_suffix(&f.name));
            let shown = folder.unwrap_or("rules").trim_end_matches('/');
            let help = "every `*.yaml` besides policy, groups, rates and features holds rules";
            self.problems
                .push(Problem::whole(shown, "no rule file here").with_help(help));
        }
        shelf.rules
    }
}

/// Sorts the rules by id and numbers the states of their sequences.
fn in_order(mut written: Vec<Written>) -> (Vec<Rule>, Vec<Notes>) {
    written.sort_by(|a, b| a.rule.id.cmp(&b.rule.id));
    let mut next_state: u16 = 0;
    for one in &mut written {
        if let Some(sequence) = &mut one.rule.sequence {
            sequence.first_state = next_state;
            // At most 512 rules of 16 states: far below the type's end.
            next_state = next_state.saturating_add(sequence.states());
        }
    }
    written
        .into_iter()
        .map(|one| {
            let Written {
                rule,
                examples,
                place,
                family,
            } = one;
            let notes = Notes {
                id: rule.id.clone(),
                family,
                place,
                examples,
            };
            (rule, notes)
        })
        .unzip()
}

/// The book's name, `+`, and 12 hex digits of the SHA-256 over its files sorted by name: each
/// name and text preceded by its length.
fn version(name: &str, files: &[Source]) -> String {
    let mut hash = Sha256::new();
    for file in files {
        for part in [&file.name, &file.text] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part.as_bytes());
        }
    }
    let hex: String = hash
        .finalize()
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{name}+{hex}")
}
