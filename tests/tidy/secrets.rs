//! What no file of the repository may show: a card number that a scheme could have issued, the host of a package registry.
//! Deliberately written apart from the card number guard in `decode`, so that one mistake cannot blind both.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Files that show card numbers being refused, each by its full path from the root.
pub const CARD_NUMBERS_SHOWN: [&str; 11] = [
    "src/decode/pan.rs",
    "tests/it/decode_corpus.rs",
    "tests/it/determinism/damage.rs",
    "tests/fuzz/corpus/decode/card_number--acct_info_key.json",
    "tests/fuzz/corpus/decode/card_number--dashes.json",
    "tests/fuzz/corpus/decode/card_number--deep.json",
    "tests/fuzz/corpus/decode/card_number--number.json",
    "tests/fuzz/corpus/decode/card_number--plain.json",
    "tests/fuzz/corpus/decode/card_number--spaces.json",
    "tests/fuzz/corpus/decode/valid--amount_like_a_card.json",
    "tests/fuzz/corpus/decode/valid--unknown_fields.json",
];

/// Files that machines write and that name where packages come from.
pub const REGISTRIES_NAMED: [&str; 1] = ["Cargo.lock"];

/// Spelled in halves, so that this file does not name them.
pub const REGISTRIES: [&str; 8] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("registry.npmjs", ".org"),
    concat!("repo1.maven", ".org"),
    concat!("repo.maven.apache", ".org"),
    concat!("proxy.golang", ".org"),
    concat!("deb.debian", ".org"),
];

/// The registry whose host stands in the line, if one does.
pub fn registry_named(line: &str) -> Option<&'static str> {
    REGISTRIES.into_iter().find(|host| line.contains(host))
}

/// The lines on which a card number of a known scheme stands: 13 to 19 digits, single spaces or dashes between them.
pub fn card_numbers(bytes: &[u8]) -> Vec<usize> {
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    lines
        .filter(|(_, line)| has_card_number(line))
        .map(|(at, _)| at + 1)
        .collect()
}

fn has_card_number(line: &[u8]) -> bool {
    let groups = digit_groups(line);
    let joined =
        |a: (usize, usize), b: (usize, usize)| b.0 == a.1 + 1 && matches!(line[a.1], b' ' | b'-');
    (0..groups.len()).any(|first| {
        let mut digits = Vec::new();
        for at in first..groups.len() {
            if at > first && !joined(groups[at - 1], groups[at]) {
                break;
            }
            digits.extend(
                line[groups[at].0..groups[at].1]
                    .iter()
                    .map(|digit| digit - b'0'),
            );
            if is_card_number(&digits) {
                return true;
            }
        }
        false
    })
}

/// Start and end of each run of digits, without those that touch a letter, an underscore or a decimal point: parts of a
/// hash, a name, a fraction.
fn digit_groups(line: &[u8]) -> Vec<(usize, usize)> {
    let mut groups = Vec::new();
    let mut at = 0;
    while at < line.len() {
        let length = line[at..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let end = at + length;
        let touches = |byte: Option<&u8>| {
            byte.is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'.' | b'_'))
        };
        let before = at.checked_sub(1).and_then(|before| line.get(before));
        let full_stop =
            line.get(end) == Some(&b'.') && !line.get(end + 1).is_some_and(u8::is_ascii_digit);
        if length > 0 && !touches(before) && (full_stop || !touches(line.get(end))) {
            groups.push((at, end));
        }
        at += length.max(1);
    }
    groups
}

/// Whether the digits have a scheme's prefix and length (as the schemes publish them) and check out.
fn is_card_number(digits: &[u8]) -> bool {
    let length = digits.len();
    if !(13..=19).contains(&length) || !luhn_sum(digits).is_multiple_of(10) {
        return false;
    }
    match digits[..6]
        .iter()
        .fold(0_u32, |number, digit| number * 10 + u32::from(*digit))
    {
        400_000..=499_999 => matches!(length, 13 | 16 | 19), // Visa
        340_000..=349_999 | 370_000..=379_999 => length == 15, // American Express
        510_000..=559_999 | 222_100..=272_099 => length == 16, // Mastercard
        300_000..=305_999 | 309_500..=309_599 | 360_000..=369_999 | 380_000..=399_999 => {
            length >= 14
        } // Diners Club
        352_800..=358_999 | 220_000..=220_499 => length >= 16, // JCB, Mir
        601_100..=601_199 | 644_000..=659_999 | 620_000..=629_999 | 810_000..=819_999 => {
            length >= 16
        } // Discover, UnionPay
        500_000..=509_999 | 560_000..=599_999 | 630_000..=639_999 | 670_000..=679_999 => true, // Maestro, Dankort
        _ => false,
    }
}

/// ISO/IEC 7812-1 annex B: a whole number has a sum that ends in 0.
pub fn luhn_sum(digits: &[u8]) -> u32 {
    let doubled = |(place, digit): (usize, &u8)| {
        let value = u32::from(*digit) * if place % 2 == 1 { 2 } else { 1 };
        value / 10 + value % 10
    };
    digits.iter().rev().enumerate().map(doubled).sum()
}

/// Every file of the repository: its path from the root and its bytes, in order of path.
pub fn repository() -> io::Result<Vec<(String, Vec<u8>)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    walk(root, &mut paths)?;
    paths.sort();
    let named = |path: PathBuf| {
        let inside = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .to_string_lossy()
            .into_owned();
        Ok((inside, fs::read(&path)?))
    };
    paths.into_iter().map(named).collect()
}

/// Leaves out git's own files, what builds and replays make, and links.
fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        if name == ".git" || name == "target" || name == "out" {
            continue;
        }
        if kind.is_dir() {
            walk(&entry.path(), found)?;
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    Ok(())
}
