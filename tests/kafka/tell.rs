//! What a test counted, for the table at the end of `tests/kafka/run`.
//! What each must show stands in `truth.rs`; how monitor and broker are driven, in files of their own.

use std::fmt::{Display, Write as _};
use std::io::Write as _;

/// One line of the table: `test key=value …`.
pub fn counted(test: &str, counts: &[(&str, &dyn Display)]) {
    let mut line = test.to_owned();
    for (name, value) in counts {
        let _ = write!(line, " {name}={value}");
    }
    println!("    {line}");
    if let Some(path) = std::env::var_os("VARSEL_KAFKA_COUNTS") {
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        writeln!(file, "{line}").unwrap();
    }
}
