//! Ids that no two requests share, whichever process or connection sends them.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

const BLOCK_BITS: u32 = 12;

/// Counts through blocks of 4096 ids, each block at a random one of 2^40 places. Every id is below 2^52, so
/// that it survives any JSON reader that takes numbers for doubles.
#[derive(Debug)]
pub(crate) struct RequestIds {
    next: u64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        Self { next: block() }
    }

    pub(crate) fn next(&mut self) -> u64 {
        let id = self.next;
        self.next += 1;
        if self.next.trailing_zeros() >= BLOCK_BITS {
            self.next = block();
        }
        id
    }
}

/// The first id of a random block. The hasher's keys come from the operating system's random source.
fn block() -> u64 {
    let random = RandomState::new().build_hasher().finish();
    (random >> (64 - 40)) << BLOCK_BITS
}
