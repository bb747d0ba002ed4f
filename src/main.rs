//! The `varsel` binary: reads the command line and hands it to [`varsel::cli`].
//!
//! Nothing is decided here.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(varsel::cli::run(&varsel::cli::Cli::parse()))
}
