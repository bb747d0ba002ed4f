//! The house style, as far as a program can check it: who may use whom, what a layer must not contain, names, file
//! lengths, opening comments, clocks, card numbers. Each rule has a test in `tidy/checks.rs` that shows it catching
//! a bad snippet. It reads text with a small lexer, not a compiler: it deliberately leaves to clippy what clippy sees
//! better (hash order, casts, long functions), and to the reader whether an edge judges fraud.

use std::fmt;

#[cfg(test)]
#[path = "tidy/checks.rs"]
mod checks;
#[path = "tidy/lexer.rs"]
mod lexer;
#[path = "tidy/secrets.rs"]
mod secrets;

use lexer::{Mention, parts};

/// A layer: its modules (a trailing `*` means any name that begins so) and what its code must not mention.
struct Layer {
    name: &'static str,
    modules: &'static [&'static str],
    banned: &'static [Banned],
    /// Whether a module may use only those listed before it in its own layer.
    ordered: bool,
}

/// Something that a layer's code must not mention, outside its tests.
enum Banned {
    /// Anything out of a crate: `tokio::…`.
    Crate(&'static str),
    /// A path and what is below it: `std::fs` also covers `use std::{fs}` and `std::fs::read`.
    Below(&'static str),
    /// A single name, wherever it stands in a path.
    Name(&'static str),
    /// A function or method called by this name.
    Call(&'static str),
    /// A macro.
    Macro(&'static str),
    /// A word inside any identifier: `card` also covers `CardKey` and `open_card`.
    Word(&'static str),
}
use Banned::{Below, Call, Crate, Macro, Name, Word};

/// From the bottom up: a layer may use itself and the layers before it in this table.
const LAYERS: [Layer; 6] = [
    Layer {
        name: "words",
        modules: &["domain"],
        banned: &[
            Below("std::fs"),
            Below("std::io"),
            // An address is a word; a socket is not.
            Name("TcpStream"),
            Name("TcpListener"),
            Name("UdpSocket"),
            Below("std::env"),
            Below("std::thread"),
            Crate("tokio"),
            Name("async"),
            Call("now"),
            Name("f32"),
            Name("f64"),
        ],
        ordered: false,
    },
    Layer {
        name: "language",
        modules: &["problem", "expr*"],
        banned: &[
            Below("std::fs"),
            Below("std::net"),
            Below("std::env"),
            Below("std::thread"),
            Crate("tokio"),
            Name("async"),
            Call("now"),
            // `holds` is left free: a condition holds.
            Word("card"),
            Word("cards"),
            Word("cardholder"),
            Word("cardholders"),
            Word("hold"),
            Word("model"),
            Word("models"),
        ],
        ordered: false,
    },
    Layer {
        name: "core",
        modules: &["engine"],
        banned: &[
            Crate("tokio"),
            Crate("rdkafka"),
            Crate("axum"),
            Crate("rand"),
            Crate("log"),
            Crate("tracing"),
            Below("std::fs"),
            Below("std::net"),
            Below("std::env"),
            Below("std::thread"),
            Name("async"),
            Name("RandomState"),
            Call("now"),
            Macro("println"),
            Macro("eprintln"),
        ],
        ordered: false,
    },
    Layer {
        name: "loading",
        modules: &[
            "config*",
            "rulebook*",
            "modelbook*",
            "geo*",
            "decode*",
            "intake",
        ],
        banned: &[
            Crate("tokio"),
            Crate("rdkafka"),
            Crate("axum"),
            Name("async"),
            Call("now"),
            Name("TcpStream"),
            Name("TcpListener"),
            Name("UdpSocket"),
        ],
        ordered: false,
    },
    Layer {
        name: "edges",
        modules: &[
            "clock",
            "telemetry*",
            "encode",
            "trust",
            "store*",
            "mail*",
            "stream*",
            "notify*",
            "http*",
            "api*",
            "console*",
        ],
        banned: &[],
        ordered: true,
    },
    Layer {
        name: "top",
        modules: &[
            "app",
            "live",
            "replay*",
            "demo*",
            "simulate*",
            "cli*",
            "main",
        ],
        banned: &[],
        ordered: false,
    },
];

/// The files of the words layer where floats are no money: degrees on the globe.
const FLOATS_ALLOWED: [&str; 1] = ["src/domain/country.rs"];

const MAX_LINES: usize = 600;
const OPENING_LINES: std::ops::RangeInclusive<usize> = 2..=8;
const BANNED_NAMES: [&str; 8] = [
    "Manager",
    "Handler",
    "Helper",
    "Util",
    "Service",
    "Processor",
    "Wrapper",
    "Impl",
];
const BANNED_FILES: [&str; 4] = ["utils.rs", "common.rs", "types.rs", "mod.rs"];
const CLOCKS: [&str; 3] = ["SystemTime::now", "Instant::now", "Utc::now"];
const CLOCK_FILE: &str = "src/clock.rs";

/// A breach of the style.
#[derive(Debug, PartialEq)]
struct Fault {
    file: String,
    line: usize,
    text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.text)
    }
}

fn fault(file: &str, line: usize, text: impl Into<String>) -> Fault {
    Fault {
        file: file.to_owned(),
        line,
        text: text.into(),
    }
}

/// Everything that is wrong with one Rust file, named by its path from the root.
fn check_source(file: &str, text: &str) -> Vec<Fault> {
    let code = lexer::without_comments_and_strings(text);
    let mentions = lexer::mentions(&code);
    let mut faults = check_shape(file, text);
    faults.extend(check_names(file, &mentions));
    faults.extend(check_unfinished(file, text, &code, &mentions));
    faults.extend(check_clocks(file, &mentions));
    if let Some(module) = module_of(file) {
        let tests = lexer::test_lines(file, &code);
        let own: Vec<&Mention> = mentions
            .iter()
            .filter(|mention| !tests.contains(&mention.line))
            .collect();
        faults.extend(check_layer(file, module, &own));
    }
    faults
}

fn check_shape(file: &str, text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        let text = format!(
            "the file has {lines} lines, at most {MAX_LINES} are allowed: split it by what its parts are for"
        );
        faults.push(fault(file, MAX_LINES + 1, text));
    }
    let opening = text
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .count();
    if !OPENING_LINES.contains(&opening) {
        let text = format!(
            "the file opens with {opening} lines of `//!`, it should be 2 to 8: what it is for, what it does not do"
        );
        faults.push(fault(file, 1, text));
    }
    let name = file.rsplit('/').next().unwrap_or(file);
    if BANNED_FILES.contains(&name) {
        faults.push(fault(
            file,
            1,
            format!("`{name}` is a banned file name: name the file after what it holds"),
        ));
    }
    faults
}

fn check_names(file: &str, mentions: &[Mention]) -> Vec<Fault> {
    let introduces = |word: &str| matches!(word, "struct" | "enum" | "trait" | "type" | "union");
    let banned_in = |name: &str| {
        let parts = parts(name);
        BANNED_NAMES
            .into_iter()
            .find(|banned| parts.contains(&banned.to_lowercase()))
    };
    let introduced = mentions
        .windows(2)
        .filter(|pair| introduces(&pair[0].path))
        .map(|pair| &pair[1]);
    introduced
        .filter_map(|name| banned_in(&name.path).map(|banned| (name, banned)))
        .map(|(name, banned)| {
            fault(
                file,
                name.line,
                format!(
                    "`{}` has the banned word `{banned}` in it: name the thing itself",
                    name.path
                ),
            )
        })
        .collect()
}

fn check_unfinished(file: &str, text: &str, code: &str, mentions: &[Mention]) -> Vec<Fault> {
    // In halves, so that this line is none.
    let marker = concat!("FIX", "ME");
    let noted = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains(marker));
    let ignored = code
        .lines()
        .enumerate()
        .filter(|(_, line)| line.trim_start().starts_with("#[ignore"));
    let left = mentions
        .iter()
        .filter(|m| m.next == '!' && matches!(m.path.as_str(), "todo" | "unimplemented"));
    noted
        .map(|(at, _)| fault(file, at + 1, format!("`{marker}`: mend it or take it out")))
        .chain(
            ignored.map(|(at, _)| fault(file, at + 1, "`#[ignore]`: a test runs or is taken out")),
        )
        .chain(left.map(|m| fault(file, m.line, format!("`{}!` is left in the code", m.path))))
        .collect()
}

fn check_clocks(file: &str, mentions: &[Mention]) -> Vec<Fault> {
    let read = mentions
        .iter()
        .filter(|m| file != CLOCK_FILE && CLOCKS.iter().any(|clock| m.has(clock)));
    read.map(|m| {
        fault(
            file,
            m.line,
            format!("`{}`: clocks are read in {CLOCK_FILE} only", m.path),
        )
    })
    .collect()
}

fn check_layer(file: &str, module: &str, mentions: &[&Mention]) -> Vec<Fault> {
    let Some((rank, place)) = rank_of(module) else {
        return vec![fault(
            file,
            1,
            format!("the module `{module}` is in no layer: add it to LAYERS in tests/tidy.rs"),
        )];
    };
    let layer = &LAYERS[rank];
    let depth = file.matches('/').count();
    let mut faults = Vec::new();
    for mention in mentions {
        let socket = mention.path.starts_with("std::net");
        let hint = if socket {
            " (addresses alone are in `core::net`)"
        } else {
            ""
        };
        if let Some(text) = mention
            .crate_module()
            .and_then(|used| breach(module, (rank, place), used))
        {
            faults.push(fault(file, mention.line, text));
        }
        let up = mention
            .path
            .split("::")
            .take_while(|part| *part == "super")
            .count();
        if up >= depth && mention.path.contains("::") {
            let text = format!(
                "`{}` leaves the module through the roof: write `crate::…`",
                mention.path
            );
            faults.push(fault(file, mention.line, text));
        }
        if layer
            .banned
            .iter()
            .any(|banned| is_banned(mention, banned) && !float_allowed(file, banned))
        {
            faults.push(fault(
                file,
                mention.line,
                format!(
                    "`{}` has no place in the layer {}{hint}",
                    mention.path, layer.name
                ),
            ));
        }
    }
    faults
}

/// What is wrong with a module's use of another, if anything is.
fn breach(module: &str, (rank, place): (usize, usize), used: &str) -> Option<String> {
    let layer = &LAYERS[rank];
    let Some((other, at)) = rank_of(used) else {
        return Some(format!(
            "`crate::{used}` is a module of no layer: name the module that a thing lives in"
        ));
    };
    if other > rank {
        let above = LAYERS[other].name;
        return Some(format!(
            "`{module}` ({}) uses `{used}` ({above}): layers use only those below them",
            layer.name
        ));
    }
    let ahead = layer.ordered && other == rank && at > place;
    ahead.then(|| {
        format!(
            "`{module}` uses `{used}`: in the layer {} a module uses only those before it",
            layer.name
        )
    })
}

fn is_banned(mention: &Mention, banned: &Banned) -> bool {
    let last = mention.path.rsplit("::").next().unwrap_or_default();
    match banned {
        Crate(name) => mention
            .path
            .split_once("::")
            .is_some_and(|(first, _)| first == *name),
        Below(path) => mention
            .path
            .strip_prefix(path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::")),
        Name(name) => mention.has(name),
        Call(name) => last == *name && mention.next == '(',
        Macro(name) => last == *name && mention.next == '!',
        Word(word) => parts(&mention.path).iter().any(|part| part == word),
    }
}

fn float_allowed(file: &str, banned: &Banned) -> bool {
    matches!(banned, Name("f32" | "f64")) && FLOATS_ALLOWED.contains(&file)
}

/// The module directly under the crate's root that a file belongs to; `None` for the map and for what is not in `src`.
fn module_of(file: &str) -> Option<&str> {
    let module = file.strip_prefix("src/")?.split('/').next()?;
    let module = module.strip_suffix(".rs").unwrap_or(module);
    (module != "lib").then_some(module)
}

/// The layer of a module and its place in that layer's list.
fn rank_of(module: &str) -> Option<(usize, usize)> {
    let fits = |pattern: &&str| {
        pattern
            .strip_suffix('*')
            .map_or(module == *pattern, |stem| module.starts_with(stem))
    };
    let place = |layer: &Layer| layer.modules.iter().position(fits);
    LAYERS
        .iter()
        .enumerate()
        .find_map(|(rank, layer)| place(layer).map(|place| (rank, place)))
}
