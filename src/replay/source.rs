//! Where recorded events come from: files, plain or compressed, or standard input, merged by time.
//!
//! Each file keeps its own order; the merge looks at the heads' `at`, ties go by input order. A
//! line longer than a record may be is skipped to its end without being kept. Blank lines are no
//! records, but count as lines of the file.

use crate::decode::{Decoder, MAX_RECORD_BYTES, Reject};
use crate::domain::event::{Event, Place};
use crate::domain::ids::Fingerprint;
use crate::stream::StreamError;
use crate::stream::book::Control;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes read at once.
const CHUNK: usize = 256 * 1024;

/// Why a source cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It could not be opened.
    #[error(
        "cannot open `{path}`: {source}\n  = help: name a file of JSON lines (.jsonl, .gz, .zst), or `-` for standard input"
    )]
    Open {
        /// As named.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It could not be read to its end.
    #[error(
        "cannot read `{path}` after line {line}: {source}\n  = help: the file may be cut off or damaged; what came before was applied"
    )]
    Read {
        /// As named.
        path: String,
        /// The last whole line.
        line: u64,
        /// What the system said.
        source: std::io::Error,
    },
    /// A topic could not be opened.
    #[error(transparent)]
    Broker(#[from] StreamError),
    /// A topic could not be read to its end.
    #[error("cannot read `{name}` further: {source}")]
    Topic {
        /// Topic and partition.
        name: String,
        /// What the client said.
        source: Box<StreamError>,
    },
}

/// A reader that counts the (compressed) bytes it took, for the progress bar.
struct Counted<R> {
    inner: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes
            .fetch_add(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
        Ok(count)
    }
}

/// Lines of one input.
pub struct Lines {
    path: String,
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    line: u64,
    ended: bool,
}

/// Records of one input, in its own order: the lines of a file, or a partition of a topic.
pub trait Records {
    /// The next one with its place: line from 1, or offset; nothing at the end.
    ///
    /// # Errors
    /// Where the input cannot be read further.
    fn next(&mut self) -> Result<Option<(u64, Piece<'_>)>, SourceError>;
}

/// What an input gives.
#[derive(Debug)]
pub enum Piece<'a> {
    /// A record's bytes, and what the log says of it besides.
    Whole(&'a [u8], Option<Stamp>),
    /// A record that was too long to keep.
    TooLong,
    /// A record of the log that stood in it before.
    Repeat,
    /// A tick of the log, in milliseconds.
    Tick(i64),
    /// A control record of the log.
    Control(Control),
}

/// What the log says of an event besides its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Whose it is; nothing where the card stands for its holder.
    pub cardholder: Option<String>,
    /// Where its address lay.
    pub place: Place,
}

impl Stamp {
    /// Completes an event as intake had it.
    fn put(self, event: &mut Event) {
        if event.cardholder.is_empty() {
            match &self.cardholder {
                Some(key) => {
                    if let Some(span) = event.push_text(key) {
                        event.cardholder = span;
                        event.cardholder_fp = Fingerprint::of(key);
                    }
                }
                None => {
                    event.cardholder = event.card;
                    event.cardholder_fp = Fingerprint::of_card_as_holder(event.card());
                }
            }
        }
        event.place = self.place;
    }
}

impl Lines {
    /// Opens an input; `-` is standard input. Compression is told by the first bytes, not the name.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn open(path: &Path, bytes: &Arc<AtomicU64>) -> Result<Self, SourceError> {
        let name = path.display().to_string();
        let fail = |source| SourceError::Open {
            path: name.clone(),
            source,
        };
        let raw: Box<dyn Read + Send> = if name == "-" {
            Box::new(std::io::stdin())
        } else {
            let file = File::open(path).map_err(fail)?;
            if file.metadata().is_ok_and(|meta| meta.is_dir()) {
                return Err(fail(std::io::Error::other("it is a folder")));
            }
            Box::new(file)
        };
        let mut counted = BufReader::with_capacity(
            CHUNK,
            Counted {
                inner: raw,
                bytes: Arc::clone(bytes),
            },
        );
        let head = std::io::BufRead::fill_buf(&mut counted).map_err(fail)?;
        let reader: Box<dyn Read + Send> = if head.starts_with(&[0x1F, 0x8B]) {
            Box::new(flate2::bufread::MultiGzDecoder::new(counted))
        } else if head.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) {
            Box::new(zstd::stream::read::Decoder::with_buffer(counted).map_err(fail)?)
        } else {
            Box::new(counted)
        };
        Ok(Self {
            path: name,
            reader,
            buffer: vec![0; CHUNK],
            start: 0,
            end: 0,
            line: 0,
            ended: false,
        })
    }

    /// Where the next line stands in the buffer, and whether it was too long to keep.
    fn next_range(&mut self) -> Result<Option<(usize, usize, bool)>, SourceError> {
        let mut searched = self.start;
        let mut too_long = false;
        loop {
            let fresh = self.buffer.get(searched..self.end).unwrap_or(&[]);
            if let Some(at) = memchr::memchr(b'\n', fresh) {
                let (start, end) = (self.start, searched + at);
                self.start = end + 1;
                self.line += 1;
                return Ok(Some((
                    start,
                    end,
                    too_long || end - start > MAX_RECORD_BYTES,
                )));
            }
            searched = self.end;
            if self.end - self.start > MAX_RECORD_BYTES {
                too_long = true;
                self.start = self.end;
            }
            if self.ended {
                let (start, end) = (self.start, self.end);
                if start == end && !too_long {
                    return Ok(None);
                }
                self.start = end;
                self.line += 1;
                return Ok(Some((start, end, too_long)));
            }
            searched = self.fill(searched)?;
        }
    }

    /// Reads more; returns where the search goes on.
    fn fill(&mut self, searched: usize) -> Result<usize, SourceError> {
        let moved = self.start;
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= moved;
        self.start = 0;
        let free = self.buffer.get_mut(self.end..).unwrap_or(&mut []);
        let count = self.reader.read(free).map_err(|source| SourceError::Read {
            path: self.path.clone(),
            line: self.line,
            source,
        })?;
        self.ended = count == 0;
        self.end += count;
        Ok(searched - moved)
    }
}

impl Records for Lines {
    /// The next line that is no blank.
    fn next(&mut self) -> Result<Option<(u64, Piece<'_>)>, SourceError> {
        loop {
            let Some((start, end, too_long)) = self.next_range()? else {
                return Ok(None);
            };
            if too_long {
                return Ok(Some((self.line, Piece::TooLong)));
            }
            let text = self.buffer.get(start..end).unwrap_or(&[]);
            if !text.iter().all(u8::is_ascii_whitespace) {
                let text = self.buffer.get(start..end).unwrap_or(&[]);
                return Ok(Some((self.line, Piece::Whole(text, None))));
            }
        }
    }
}

/// A record that could not be read, with its place.
#[derive(Debug)]
pub struct Refused {
    /// Number of the input.
    pub input: usize,
    /// Line of the file, from 1.
    pub line: u64,
    /// Why.
    pub reject: Reject,
}

/// What an input has in hand.
enum Hand {
    /// Nothing yet.
    Empty,
    /// An event; true where the log says all of it that intake would.
    Event(bool),
    Repeat,
    Tick(i64),
    Control(Control),
}

/// One input and its next event.
struct Head {
    records: Box<dyn Records>,
    decoder: Decoder,
    event: Box<Event>,
    hand: Hand,
    done: bool,
    /// Line or offset of what is in hand.
    line: u64,
}

impl Head {
    /// When what is in hand is due; nothing where it is empty.
    fn at_ms(&self) -> Option<i64> {
        match &self.hand {
            Hand::Empty => None,
            Hand::Event(_) => Some(self.event.at.ms),
            Hand::Tick(at_ms) => Some(*at_ms),
            Hand::Repeat | Hand::Control(_) => Some(i64::MIN),
        }
    }
}

/// Several inputs merged by the time of their heads.
pub struct Merge {
    heads: Vec<Head>,
    taken: Vec<u64>,
    to_skip: Vec<u64>,
}

/// What the merge gives next.
pub enum Next {
    /// An event; swapped into the caller's, with its input and line.
    Event {
        /// Number of the input.
        input: usize,
        /// Line of the file, from 1, or offset.
        line: u64,
        /// Whether the log says all of it that intake would.
        logged: bool,
    },
    /// A record of the log that stood in it before.
    Repeat,
    /// A tick of the log, for one input's shard.
    Tick(usize, i64),
    /// A control record, for one input's shard.
    Control(usize, Control),
    /// A record that could not be read.
    Refused(Refused),
    /// No more.
    End,
}

impl Merge {
    /// Opens files; `skip` says how many lines of each were taken before (a resumed replay).
    ///
    /// # Errors
    /// Where one cannot be opened.
    pub fn open(
        paths: &[PathBuf],
        skip: &[u64],
        bytes: &Arc<AtomicU64>,
    ) -> Result<Self, SourceError> {
        let mut inputs: Vec<Box<dyn Records>> = Vec::new();
        for path in paths {
            inputs.push(Box::new(Lines::open(path, bytes)?));
        }
        Ok(Self::of(inputs, skip))
    }

    /// A merge of inputs that are open.
    pub fn of(inputs: Vec<Box<dyn Records>>, skip: &[u64]) -> Self {
        let mut to_skip = skip.to_vec();
        to_skip.resize(inputs.len(), 0);
        let heads = inputs
            .into_iter()
            .map(|records| Head {
                records,
                decoder: Decoder::default(),
                event: Box::default(),
                hand: Hand::Empty,
                done: false,
                line: 0,
            })
            .collect();
        Self {
            heads,
            taken: to_skip.clone(),
            to_skip,
        }
    }

    /// The last line taken of each input, so that a resumed replay goes on after it.
    pub fn taken(&self) -> &[u64] {
        &self.taken
    }

    /// Unknown fields met so far, in all inputs.
    pub fn unknown_fields(&self) -> u64 {
        self.heads
            .iter()
            .map(|head| head.decoder.unknown_fields())
            .sum()
    }

    /// The next event in order of time, or the next record refused on the way to it.
    ///
    /// # Errors
    /// Where an input cannot be read further.
    pub fn next(&mut self, into: &mut Box<Event>) -> Result<Next, SourceError> {
        for input in 0..self.heads.len() {
            if let Some(refused) = self.make_ready(input)? {
                return Ok(Next::Refused(refused));
            }
        }
        let first = self
            .heads
            .iter()
            .enumerate()
            .filter_map(|(input, head)| Some((head.at_ms()?, input)))
            .min()
            .map(|(_, input)| input);
        let Some(input) = first else {
            return Ok(Next::End);
        };
        let Some(head) = self.heads.get_mut(input) else {
            return Ok(Next::End);
        };
        if let Some(taken) = self.taken.get_mut(input) {
            *taken = head.line;
        }
        Ok(match std::mem::replace(&mut head.hand, Hand::Empty) {
            Hand::Empty => Next::End,
            Hand::Repeat => Next::Repeat,
            Hand::Tick(at_ms) => Next::Tick(input, at_ms),
            Hand::Control(control) => Next::Control(input, control),
            Hand::Event(logged) => {
                std::mem::swap(&mut head.event, into);
                Next::Event {
                    input,
                    line: head.line,
                    logged,
                }
            }
        })
    }

    /// Makes an input's next record ready; returns the record refused on the way, if one was.
    fn make_ready(&mut self, input: usize) -> Result<Option<Refused>, SourceError> {
        let Some(head) = self.heads.get_mut(input) else {
            return Ok(None);
        };
        let skip = self.to_skip.get(input).copied().unwrap_or(0);
        while matches!(head.hand, Hand::Empty) && !head.done {
            let Some((line, piece)) = head.records.next()? else {
                head.done = true;
                break;
            };
            if line <= skip && skip > 0 {
                continue;
            }
            head.line = line;
            let reject = match piece {
                Piece::Whole(record, stamp) => match head.decoder.decode(record, &mut head.event) {
                    Ok(()) => {
                        head.hand = Hand::Event(stamp.is_some());
                        if let Some(stamp) = stamp {
                            stamp.put(&mut head.event);
                        }
                        break;
                    }
                    Err(reject) => reject,
                },
                Piece::TooLong => too_long(),
                Piece::Repeat => {
                    head.hand = Hand::Repeat;
                    break;
                }
                Piece::Tick(at_ms) => {
                    head.hand = Hand::Tick(at_ms);
                    break;
                }
                Piece::Control(control) => {
                    head.hand = Hand::Control(control);
                    break;
                }
            };
            if let Some(taken) = self.taken.get_mut(input) {
                *taken = head.line;
            }
            return Ok(Some(Refused {
                input,
                line: head.line,
                reject,
            }));
        }
        Ok(None)
    }
}

fn too_long() -> Reject {
    Reject {
        code: "too_long",
        text: format!("the record is longer than {} KiB", MAX_RECORD_BYTES / 1024),
    }
}
