//! What every benchmark says besides its numbers: the machine, the commit, the profile, and tables in Markdown.
//!
//! Also the few options that they share. It measures nothing itself.
#![allow(
    dead_code,
    missing_docs,
    reason = "each benchmark is built apart and uses a part of this"
)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people are rounded"
)]

use std::fmt::{self, Display, Write};
use std::process::Command;
use std::time::Duration;

/// A table with a title and remarks below it.
#[derive(Debug, Default)]
pub struct Table {
    pub title: String,
    pub head: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
    pub remarks: Vec<String>,
}

impl Table {
    pub fn new(title: impl Into<String>, head: &[&'static str]) -> Self {
        Self {
            title: title.into(),
            head: head.to_vec(),
            ..Self::default()
        }
    }

    pub fn row(&mut self, cells: &[&dyn Display]) {
        self.rows
            .push(cells.iter().map(|cell| cell.to_string()).collect());
    }

    pub fn remark(&mut self, text: impl Into<String>) {
        self.remarks.push(text.into());
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n### {}\n\n| {} |", self.title, self.head.join(" | "))?;
        writeln!(f, "|{}", "---|".repeat(self.head.len()))?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        for (index, remark) in self.remarks.iter().enumerate() {
            let before = if index == 0 { "\n" } else { "" };
            writeln!(f, "{before}- {remark}")?;
        }
        Ok(())
    }
}

/// Machine, commit and profile, in one paragraph.
pub fn describe() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown", |(_, model)| model);
    let cores = cpu.lines().filter(|l| l.starts_with("processor")).count();
    let profile = if cfg!(debug_assertions) {
        "dev (numbers mean nothing)"
    } else {
        "release (bench inherits it)"
    };
    let changed = !said("git", &["status", "--porcelain", "-uno"]).is_empty();
    let mut text = format!(
        "{model}, {cores} cores, {} GiB; commit {}{}; profile {profile}",
        kib("/proc/meminfo", "MemTotal") / 1_048_576,
        said("git", &["rev-parse", "--short", "HEAD"]),
        if changed { " with changes" } else { "" },
    );
    if is_older_than_commit() {
        text.push_str("; BUILT BEFORE THIS COMMIT: the numbers are of older code");
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let _ = write!(text, "; load {load} at the start");
    text
}

/// Whether this program was built before the commit that the source tree stands at, which is read when it runs.
fn is_older_than_commit() -> bool {
    let built = std::env::current_exe()
        .and_then(|path| path.metadata()?.modified())
        .ok()
        .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let committed = said("git", &["log", "-1", "--format=%ct"]).parse().ok();
    built
        .zip(committed)
        .is_some_and(|(built, committed)| built < Duration::from_secs(committed))
}

fn said(program: &str, words: &[&str]) -> String {
    Command::new(program)
        .args(words)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}

/// A line of `/proc` that counts KiB; 0 where there is none.
fn kib(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}

/// Memory of this process that is in RAM, in bytes.
pub fn resident() -> u64 {
    kib("/proc/self/status", "VmRSS") * 1_024
}

/// Memory that could be had now, in bytes.
pub fn available() -> u64 {
    kib("/proc/meminfo", "MemAvailable") * 1_024
}

/// The number after an option (`--cards 1000000`), if it was given.
pub fn option(name: &str) -> Option<u64> {
    let mut words = std::env::args().skip_while(|word| word != name);
    words.nth(1)?.replace('_', "").parse().ok()
}

/// Nanoseconds each.
pub fn each(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e9 / count.max(1) as f64
}

/// Per second, in words: `1.52 M/s`.
pub fn rate(time: Duration, count: u64) -> String {
    let per_second = count as f64 / time.as_secs_f64().max(1e-9);
    if per_second >= 1e6 {
        format!("{:.2} M/s", per_second / 1e6)
    } else {
        format!("{:.0} k/s", per_second / 1e3)
    }
}

/// With thousands parted: `1,234,567`.
pub fn parted(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share in per cent.
pub fn percent(part: u64, whole: u64) -> String {
    format!("{:.2} %", part as f64 * 100.0 / whole.max(1) as f64)
}
