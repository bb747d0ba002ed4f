//! The newest records of the log, by cardholder, in case an episode begins: a bounded number of bytes, whoever they
//! are of. What becomes of them is not known here.

use std::collections::{BTreeMap, VecDeque};

/// Bytes of records remembered in case an episode begins: some hours of a small bank, some minutes of a large one.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// A record that is remembered.
#[derive(Debug, Clone)]
pub enum Record {
    /// An event, and where its address lies.
    Event(String, Option<String>),
    /// A decision.
    Decision(String),
}

impl Record {
    fn bytes(&self) -> usize {
        /// What a record takes besides its text.
        const BESIDES: usize = 160;
        match self {
            Self::Event(line, _) | Self::Decision(line) => line.len() + BESIDES,
        }
    }
}

/// The newest records, by cardholder.
#[derive(Debug, Default)]
pub struct Memory {
    records: VecDeque<(String, Record)>,
    /// How many were forgotten: the number of the first that is there.
    first: usize,
    of: BTreeMap<String, VecDeque<usize>>,
    bytes: usize,
}

impl Memory {
    /// Remembers one; the oldest give way.
    pub fn add(&mut self, cardholder: &str, record: Record) {
        self.bytes += record.bytes();
        let number = self.first + self.records.len();
        self.of
            .entry(cardholder.to_owned())
            .or_default()
            .push_back(number);
        self.records.push_back((cardholder.to_owned(), record));
        while self.bytes > MAX_BYTES
            && let Some((cardholder, record)) = self.records.pop_front()
        {
            self.bytes -= record.bytes();
            self.first += 1;
            if let Some(numbers) = self.of.get_mut(&cardholder) {
                numbers.pop_front();
                if numbers.is_empty() {
                    self.of.remove(&cardholder);
                }
            }
        }
    }

    /// What is remembered of a cardholder, the oldest first.
    pub fn of(&self, cardholder: &str) -> impl Iterator<Item = &Record> {
        let numbers = self.of.get(cardholder).into_iter().flatten();
        numbers.filter_map(|number| Some(&self.records.get(number - self.first)?.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(cardholder: &str, text: &str) -> (String, Record) {
        (cardholder.to_owned(), Record::Event(text.to_owned(), None))
    }

    #[test]
    fn the_memory_forgets_the_oldest_records_first_and_keeps_its_bound() {
        let mut memory = Memory::default();
        let long = "x".repeat(1024 * 1024);
        for number in 0..100 {
            let (cardholder, record) = event(if number % 2 == 0 { "a" } else { "b" }, &long);
            memory.add(&cardholder, record);
        }
        assert!(memory.bytes <= MAX_BYTES);
        assert_eq!(memory.records.len(), 63);
        assert_eq!(memory.of("a").count() + memory.of("b").count(), 63);
        assert_eq!(memory.of("c").count(), 0);
    }
}
