//! What real peers sent, as it is and with each of its bytes' neighbours spoilt.

use properties::samples::{self, Sample};

/// The sample itself, and it with one byte changed, at places all over it.
fn spoilt((_, bytes): &Sample) -> impl Iterator<Item = Vec<u8>> {
    let places = (1..bytes.len()).step_by((bytes.len() / 16).max(1));
    let changed = places.map(|place| {
        let mut copy = bytes.clone();
        copy[place] ^= 1 << (place % 7);
        copy
    });
    std::iter::once(bytes.clone()).chain(changed)
}

fn hold(property: fn(&[u8]), samples: &[Sample]) {
    assert!(!samples.is_empty());
    samples.iter().flat_map(spoilt).for_each(|bytes| property(&bytes));
}

#[test]
fn replies_of_targets_are_cut_alike() {
    hold(properties::stream, &samples::streams().unwrap());
}

#[test]
fn updates_of_a_database_are_kept() {
    hold(properties::tables, &samples::updates().unwrap());
}

#[test]
fn values_of_its_columns_are_read() {
    hold(properties::values, &samples::columns().unwrap());
}
