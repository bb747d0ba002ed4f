//! Runs: steps that follow each other, and the texts between them, compared at once.
//!
//! A run says what its steps would say one by one, where each text is as long as it mostly is; where
//! it does not fit, they are asked.

use super::super::field::{Block, Opening};
use super::super::pan::{SHORTEST, contains_card_number, has_stretch};
use super::super::token::Place;
use super::super::walk::{TOKENS, Table};
use super::{LONGEST_TIME, MANY_TURNS, Next, STEADY, Step};

/// The most bytes of a run.
const MAX_BYTES: usize = 512;
/// Where a time has its letter and points, between which it has too few digits for a card number.
const MARKS: [(usize, u8); 3] = [(10, b'T'), (13, b':'), (16, b':')];

/// Some steps with the texts between them; at first one step alone.
#[derive(Debug)]
pub(super) struct Run {
    /// What must stand there, but for texts: the first bytes, and the others.
    first: Block,
    blocks: Box<[Block]>,
    /// The texts and words within it by their places in the table, counted from its begin.
    texts: Vec<(usize, Place)>,
    /// Those of them, from and to, that are long enough for a card number, and no times.
    guarded: Vec<(usize, usize)>,
    /// How many bytes it has, up to the value of its last step.
    pub(super) length: usize,
    /// What its steps say together.
    pub(super) seen: u64,
    pub(super) met: u64,
    pub(super) quotes: u32,
    /// Its last step.
    pub(super) last: usize,
}

impl Run {
    /// A run that fits nowhere: no plain text has a zero.
    pub(super) fn nowhere() -> Self {
        Self {
            first: Block::new(b"\0", &[true]),
            blocks: Box::default(),
            texts: Vec::new(),
            guarded: Vec::new(),
            length: 0,
            seen: 0,
            met: 0,
            quotes: 0,
            last: 0,
        }
    }

    /// A step alone.
    pub(super) fn alone(first: usize, step: &Step) -> Self {
        let mut run = Self::nowhere();
        let (mut bytes, mut marks) = (Vec::new(), Vec::new());
        run.add(first, step, &mut bytes, &mut marks);
        run.close(&bytes, &marks);
        run
    }

    /// A step and what mostly follows it; nothing where a key would come twice.
    pub(super) fn from(first: usize, steps: &[Step]) -> Option<Self> {
        let mut run = Self::nowhere();
        let (mut bytes, mut marks) = (Vec::new(), Vec::new());
        let mut at = first;
        loop {
            let step = steps.get(at)?;
            if run.seen & step.seen != 0 || run.met & step.met != 0 {
                return None;
            }
            run.add(at, step, &mut bytes, &mut marks);
            let goes_on = match step.next {
                Next::Text => step.same >= STEADY && bytes.len() + step.length <= MAX_BYTES,
                Next::Word | Next::Part => bytes.len() <= MAX_BYTES,
                Next::Number | Next::Literal | Next::Nested | Next::End => false,
            };
            if !goes_on || step.turns >= MANY_TURNS {
                break;
            }
            if step.next != Next::Part {
                run.add_text(step, &mut bytes, &mut marks);
            }
            at = step.then;
        }
        run.close(&bytes, &marks);
        Some(run)
    }

    fn add(&mut self, at: usize, step: &Step, bytes: &mut Vec<u8>, marks: &mut Vec<bool>) {
        self.seen |= step.seen;
        self.met |= step.met;
        self.quotes += step.quotes;
        self.last = at;
        bytes.extend_from_slice(step.piece.bytes());
        marks.resize(bytes.len(), true);
    }

    fn add_text(&mut self, step: &Step, bytes: &mut Vec<u8>, marks: &mut Vec<bool>) {
        if step.next == Next::Word {
            let place = Place::new(bytes.len() - step.length, bytes.len());
            return self.texts.push((step.token, place));
        }
        let (start, end) = (bytes.len(), bytes.len() + step.length);
        bytes.resize(end, 0);
        marks.resize(end, false);
        let is_time = step.is_time && (17..=LONGEST_TIME).contains(&step.length);
        for (place, mark) in MARKS.iter().filter(|_| is_time) {
            (bytes[start + place], marks[start + place]) = (*mark, true);
        }
        self.texts.push((step.token, Place::new(start, end)));
        if step.length >= SHORTEST && !is_time {
            self.guarded.push((start, end));
        }
    }

    fn close(&mut self, bytes: &[u8], marks: &[bool]) {
        self.length = bytes.len();
        let blocks = bytes.chunks(Opening::MAX).zip(marks.chunks(Opening::MAX));
        let mut blocks = blocks.map(|(some, marks)| Block::new(some, marks));
        if let Some(first) = blocks.next() {
            self.first = first;
        }
        self.blocks = blocks.collect();
    }

    /// Whether a text begins with it.
    #[inline(always)]
    pub(super) fn fits(&self, rest: &[u8]) -> bool {
        let Some((chunk, rest)) = rest.split_first_chunk() else {
            return false;
        };
        if !self.first.is_in(chunk) {
            return false;
        }
        if self.blocks.is_empty() {
            return true;
        }
        let (chunks, _) = rest.as_chunks();
        chunks.len() >= self.blocks.len()
            && self
                .blocks
                .iter()
                .zip(chunks)
                .all(|(block, chunk)| block.is_in(chunk))
    }

    /// Takes down its texts, where it fits; nothing where one of them holds a card number.
    #[inline(always)]
    pub(super) fn keep(&self, rest: &[u8], at: usize, table: &mut Table) -> Option<()> {
        for (start, end) in &self.guarded {
            let text = rest.get(*start..*end)?;
            if has_stretch(text) && str::from_utf8(text).map_or(true, contains_card_number) {
                return None;
            }
        }
        for (token, place) in &self.texts {
            table.places[token % TOKENS] = place.behind(at);
        }
        Some(())
    }
}
