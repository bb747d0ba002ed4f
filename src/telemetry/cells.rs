//! What is counted in, and how it is written in Prometheus' text format, version 0.0.4.
//!
//! Every cell is a relaxed atomic: counts need no order among each other. Labels are looked up under a lock, so whoever
//! counts often looks up once and keeps the cell. Which counts there are is deliberately not known here.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most sets of labels of one family: a bound against labels that somebody else chooses.
const MAX_SETS: usize = 16_384;

/// Takes a lock also where a thread died with it: what is kept here is whole at every step.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counters by one label whose words are known beforehand; a strange word counts as `other`.
#[derive(Debug)]
pub struct Worded {
    label: &'static str,
    cells: Vec<(&'static str, AtomicU64)>,
    other: AtomicU64,
}

impl Worded {
    /// Counters at zero, one a word.
    pub fn new(label: &'static str, words: impl IntoIterator<Item = &'static str>) -> Self {
        Self {
            label,
            cells: words
                .into_iter()
                .map(|word| (word, AtomicU64::new(0)))
                .collect(),
            other: AtomicU64::new(0),
        }
    }

    /// The counter of a word, for whoever counts often.
    pub fn cell(&self, word: &str) -> &AtomicU64 {
        let found = self.cells.iter().find(|(known, _)| *known == word);
        found.map_or(&self.other, |(_, cell)| cell)
    }

    /// Counts `more` of a word.
    pub fn add(&self, word: &str, more: u64) {
        self.cell(word).fetch_add(more, Relaxed);
    }

    /// How many of a word were counted.
    pub fn get(&self, word: &str) -> u64 {
        self.cell(word).load(Relaxed)
    }

    /// Every word with its count.
    pub fn all(&self) -> Vec<(&'static str, u64)> {
        self.cells
            .iter()
            .map(|(word, cell)| (*word, cell.load(Relaxed)))
            .collect()
    }

    pub(super) fn write(&self, page: &mut Page, name: &str) {
        for (word, cell) in &self.cells {
            page.sample(name, &[(self.label, word)], cell.load(Relaxed));
        }
        let other = self.other.load(Relaxed);
        if other > 0 {
            page.sample(name, &[(self.label, "other")], other);
        }
    }
}

/// Counters or gauges by labels that come and go, such as topic and partition.
#[derive(Debug)]
pub struct Labelled {
    labels: &'static [&'static str],
    cells: Mutex<BTreeMap<Vec<String>, Arc<AtomicU64>>>,
}

impl Labelled {
    /// None yet; `labels` are the names in the order of the values given later.
    pub fn new(labels: &'static [&'static str]) -> Self {
        Self {
            labels,
            cells: Mutex::new(BTreeMap::new()),
        }
    }

    /// The cell of these labels, made at zero if there is none; beyond 16,384 sets, one that is not shown.
    pub fn cell(&self, values: &[&str]) -> Arc<AtomicU64> {
        let key: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let mut cells = locked(&self.cells);
        if cells.len() >= MAX_SETS && !cells.contains_key(&key) {
            return Arc::default();
        }
        Arc::clone(cells.entry(key).or_default())
    }

    /// Sets a gauge.
    pub fn set(&self, values: &[&str], value: u64) {
        self.cell(values).store(value, Relaxed);
    }

    /// Counts `more`.
    pub fn add(&self, values: &[&str], more: u64) {
        self.cell(values).fetch_add(more, Relaxed);
    }

    /// Shows these labels no longer, as for a partition that went to another instance; a cell still kept counts unseen.
    pub fn forget(&self, values: &[&str]) {
        let key: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        locked(&self.cells).remove(&key);
    }

    /// Every set of labels with its value.
    pub fn all(&self) -> Vec<(Vec<String>, u64)> {
        let cells = locked(&self.cells);
        cells
            .iter()
            .map(|(labels, cell)| (labels.clone(), cell.load(Relaxed)))
            .collect()
    }

    /// The sum over all labels.
    pub fn sum(&self) -> u64 {
        let cells = locked(&self.cells);
        cells
            .values()
            .map(|cell| cell.load(Relaxed))
            .fold(0, u64::saturating_add)
    }

    /// Writes every set of labels, its value as `shown` makes it.
    pub(super) fn write<D: Display>(&self, page: &mut Page, name: &str, shown: impl Fn(u64) -> D) {
        for (values, cell) in locked(&self.cells).iter() {
            let labels: Vec<(&str, &str)> = self
                .labels
                .iter()
                .copied()
                .zip(values.iter().map(String::as_str))
                .collect();
            page.sample(name, &labels, shown(cell.load(Relaxed)));
        }
    }
}

/// How many of how large, in fixed buckets.
#[derive(Debug)]
pub struct Histogram {
    /// Upper bounds, inclusive, rising.
    bounds: &'static [u64],
    /// One a bound, and one for what is larger than all.
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
}

impl Histogram {
    /// Empty, with these upper bounds (inclusive, rising).
    pub fn new(bounds: &'static [u64]) -> Self {
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    /// Counts one of this size.
    pub fn observe(&self, size: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < size);
        self.counts[bucket].fetch_add(1, Relaxed);
        self.sum.fetch_add(size, Relaxed);
    }

    pub(super) fn write(&self, page: &mut Page, name: &str) {
        let mut below = 0;
        let bucket = format!("{name}_bucket");
        for (at, count) in self.counts.iter().enumerate() {
            below += count.load(Relaxed);
            let bound = self.bounds.get(at).map(u64::to_string);
            let bound = bound.as_deref().unwrap_or("+Inf");
            page.sample(&bucket, &[("le", bound)], below);
        }
        page.sample(&format!("{name}_sum"), &[], self.sum.load(Relaxed));
        page.sample(&format!("{name}_count"), &[], below);
    }
}

/// A text in Prometheus' format, growing.
#[derive(Debug, Default)]
pub struct Page {
    /// What is written so far.
    pub text: String,
}

impl Page {
    /// Begins a family; `kind` is `counter`, `gauge` or `histogram`.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    /// One sample of the family begun last.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let shown: Vec<String> = labels
            .iter()
            .map(|(label, text)| format!("{label}=\"{}\"", escaped(text)))
            .collect();
        if shown.is_empty() {
            self.line(format_args!("{name} {value}"));
        } else {
            self.line(format_args!("{name}{{{}}} {value}", shown.join(",")));
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{line}");
    }
}

/// A label's value: backslash, quote and line feed are escaped, as the format wants.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Milliseconds written as seconds, exactly.
pub fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_escaped() {
        let mut page = Page::default();
        page.family("x", "gauge", "a \\ b\nc");
        page.sample("x", &[("topic", "a\\b\"c\nd"), ("e", "é")], 7);
        assert_eq!(
            page.text,
            "# HELP x a \\\\ b\\nc\n# TYPE x gauge\nx{topic=\"a\\\\b\\\"c\\nd\",e=\"é\"} 7\n"
        );
    }

    #[test]
    fn a_histogram_counts_up_to_each_bound() {
        let histogram = Histogram::new(&[1, 4, 64]);
        for size in [0, 1, 2, 4, 5, 64, 65] {
            histogram.observe(size);
        }
        let mut page = Page::default();
        histogram.write(&mut page, "h");
        assert_eq!(
            page.text,
            "h_bucket{le=\"1\"} 2\nh_bucket{le=\"4\"} 4\nh_bucket{le=\"64\"} 6\nh_bucket{le=\"+Inf\"} 7\nh_sum 141\nh_count 7\n"
        );
    }

    #[test]
    fn a_strange_word_counts_as_other_and_is_shown_only_then() {
        let counts = Worded::new("result", ["applied", "repeat"]);
        counts.add("applied", 2);
        let mut page = Page::default();
        counts.write(&mut page, "e");
        assert_eq!(
            page.text,
            "e{result=\"applied\"} 2\ne{result=\"repeat\"} 0\n"
        );
        counts.add("pigeon", 3);
        let mut page = Page::default();
        counts.write(&mut page, "e");
        assert!(page.text.ends_with("e{result=\"other\"} 3\n"));
    }

    #[test]
    fn labels_that_went_away_are_not_shown_and_the_rest_sums_up() {
        let gauges = Labelled::new(&["topic", "partition"]);
        gauges.set(&["log", "1"], 5);
        gauges.set(&["log", "0"], 2_500);
        gauges.add(&["log", "2"], 7);
        gauges.forget(&["log", "2"]);
        assert_eq!(gauges.sum(), 2_505);
        let mut page = Page::default();
        gauges.write(&mut page, "g", seconds);
        assert_eq!(
            page.text,
            "g{topic=\"log\",partition=\"0\"} 2.500\ng{topic=\"log\",partition=\"1\"} 0.005\n"
        );
    }

    #[test]
    fn sets_of_labels_are_bounded() {
        let counts = Labelled::new(&["topic"]);
        for at in 0..MAX_SETS + 10 {
            counts.add(&[&at.to_string()], 1);
        }
        counts.add(&["0"], 1);
        assert_eq!(counts.sum(), u64::try_from(MAX_SETS).unwrap() + 1);
    }
}
