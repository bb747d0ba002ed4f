//! Mail: what it says ([`press`]), how it is written down ([`letter`]), and the way to the server ([`server`]).
//!
//! It deliberately knows nothing of who is to be told what and when.

pub mod letter;
pub mod press;
pub mod server;

pub use press::Press;
