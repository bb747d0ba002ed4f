//! Where recorded events come from: files, plain or compressed, or standard input, merged by time.
//!
//! Each file keeps its own order; the merge looks at the heads' `at`, ties go by input order. A
//! line longer than a record may be is skipped to its end without being kept. Blank lines are no
//! records, but count as lines of the file.

use crate::decode::{Decoder, MAX_RECORD_BYTES, Reject};
use crate::domain::event::Event;
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

/// One line: its bytes, or the fact that it was too long to keep.
enum Line<'a> {
    Whole(&'a [u8]),
    TooLong,
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

    /// The next line that is no blank, with its number; nothing at the end.
    fn next(&mut self) -> Result<Option<(u64, Line<'_>)>, SourceError> {
        loop {
            let Some((start, end, too_long)) = self.next_range()? else {
                return Ok(None);
            };
            if too_long {
                return Ok(Some((self.line, Line::TooLong)));
            }
            let text = self.buffer.get(start..end).unwrap_or(&[]);
            if !text.iter().all(u8::is_ascii_whitespace) {
                let text = self.buffer.get(start..end).unwrap_or(&[]);
                return Ok(Some((self.line, Line::Whole(text))));
            }
        }
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

/// One input and its next event.
struct Head {
    lines: Lines,
    decoder: Decoder,
    event: Event,
    ready: bool,
    done: bool,
    /// Line of the event in hand.
    line: u64,
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
        /// Line of the file, from 1.
        line: u64,
    },
    /// A record that could not be read.
    Refused(Refused),
    /// No more.
    End,
}

impl Merge {
    /// Opens all inputs; `skip` says how many lines of each were taken before (a resumed replay).
    ///
    /// # Errors
    /// Where one cannot be opened.
    pub fn open(
        paths: &[PathBuf],
        skip: &[u64],
        bytes: &Arc<AtomicU64>,
    ) -> Result<Self, SourceError> {
        let mut heads = Vec::new();
        for path in paths {
            heads.push(Head {
                lines: Lines::open(path, bytes)?,
                decoder: Decoder::default(),
                event: Event::default(),
                ready: false,
                done: false,
                line: 0,
            });
        }
        let mut to_skip = skip.to_vec();
        to_skip.resize(paths.len(), 0);
        Ok(Self {
            heads,
            taken: to_skip.clone(),
            to_skip,
        })
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
    pub fn next(&mut self, into: &mut Event) -> Result<Next, SourceError> {
        for input in 0..self.heads.len() {
            if let Some(refused) = self.make_ready(input)? {
                return Ok(Next::Refused(refused));
            }
        }
        let first = self
            .heads
            .iter()
            .enumerate()
            .filter(|(_, head)| head.ready)
            .min_by_key(|(input, head)| (head.event.at.ms, *input))
            .map(|(input, _)| input);
        let Some(input) = first else {
            return Ok(Next::End);
        };
        let Some(head) = self.heads.get_mut(input) else {
            return Ok(Next::End);
        };
        std::mem::swap(&mut head.event, into);
        head.ready = false;
        if let Some(taken) = self.taken.get_mut(input) {
            *taken = head.line;
        }
        Ok(Next::Event {
            input,
            line: head.line,
        })
    }

    /// Makes an input's next event ready; returns the record refused on the way, if one was.
    fn make_ready(&mut self, input: usize) -> Result<Option<Refused>, SourceError> {
        let Some(head) = self.heads.get_mut(input) else {
            return Ok(None);
        };
        let skip = self.to_skip.get(input).copied().unwrap_or(0);
        while !head.ready && !head.done {
            let Some((line, record)) = head.lines.next()? else {
                head.done = true;
                break;
            };
            if line <= skip {
                continue;
            }
            let reject = match record {
                Line::Whole(record) => head.decoder.decode(record, &mut head.event).err(),
                Line::TooLong => Some(too_long()),
            };
            head.line = line;
            let Some(reject) = reject else {
                head.ready = true;
                break;
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
