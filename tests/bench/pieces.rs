//! Pieces of the population's JSON lines: tokens, numbers and text fields, appended to a buffer.
//!
//! Written by hand, because ten million cardholders' lines must not take longer to make than to judge. Tokens are letters
//! only, so that nobody sees a card number in them; nothing is escaped, since no value here needs it.
#![allow(
    clippy::cast_possible_truncation,
    reason = "a generator cuts hashes as it likes"
)]

use super::mix;
use std::io::Write;

pub(super) fn phone(who: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"phone\":\"ph-");
    letters(out, mix(u64::from(who) ^ 0xF0E));
    out.push(b'"');
}

/// A UUID, as ACSs number their transactions.
pub(super) fn acs(visit: u64, out: &mut Vec<u8>) {
    let (a, b) = (mix(visit ^ 0xAC5), mix(visit ^ 0xAC6));
    let wrote = write!(
        out,
        ",\"acs_trans_id\":\"{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}\"",
        a >> 32,
        a >> 16 & 0xFFFF,
        a & 0xFFF,
        b >> 48 & 0xFFF,
        b & 0xFFFF_FFFF_FFFF
    );
    debug_assert!(wrote.is_ok());
}

pub(super) fn text(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":\"");
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

/// Sixteen letters a-p for 64 bits: a token in which nobody can see a card number.
pub(super) fn letters(out: &mut Vec<u8>, value: u64) {
    out.extend((0..16).map(|place| b'a' + (value >> (60 - 4 * place) & 15) as u8));
}

pub(super) fn decimal(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0_u8; 20];
    let (mut left, mut at) = (value, digits.len());
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}
