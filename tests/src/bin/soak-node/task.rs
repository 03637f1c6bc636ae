//! A task and its answer: both name the number, and each can be told from any other.

use sha2::{Digest, Sha256};

/// One message in so many is sent one way.
const ONE_WAY: u64 = 8;

/// Longest padding of a task, in bytes.
const LONGEST: u64 = 2048;

/// Whether task `number` is told one way, and not asked.
pub(crate) fn is_one_way(number: u64) -> bool {
    number % ONE_WAY == ONE_WAY - 1
}

/// The body of task `number`, of a length that follows from it.
pub(crate) fn body(number: u64) -> Vec<u8> {
    let mut body = format!("{number}:").into_bytes();
    let length = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % LONGEST;
    body.extend((0..length).map(|at| (number + at) as u8));
    body
}

/// The number that a task or an answer is about.
pub(crate) fn number(body: &[u8]) -> Option<u64> {
    let end = body.iter().position(|byte| *byte == b':')?;
    std::str::from_utf8(&body[..end]).ok()?.parse().ok()
}

/// The answer to a task.
pub(crate) fn answer(task: &[u8]) -> Vec<u8> {
    let number = number(task).unwrap_or(u64::MAX);
    [format!("{number}:").as_bytes(), hex::encode(Sha256::digest(task)).as_bytes(), task].concat()
}
