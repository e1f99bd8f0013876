//! Generated input: JSON of the shapes that the parsers know, and bytes of none.

use proptest::prelude::*;
use serde_json::{Value, json};

const NAMES: [&str; 4] = ["a", "b", "name", "é\\\""];

fn text() -> impl Strategy<Value = Value> {
    prop_oneof![prop::sample::select(&NAMES[..]).prop_map(Value::from), ".{0,6}".prop_map(Value::from)]
}

fn atom() -> impl Strategy<Value = Value> {
    let uuid = any::<u128>().prop_map(|number| json!(["uuid", ovsdb::Uuid(number).to_string()]));
    let small = (0_i64..4).prop_map(Value::from);
    let real = prop::num::f64::NORMAL.prop_map(Value::from);
    prop_oneof![
        small,
        any::<i64>().prop_map(Value::from),
        real,
        any::<bool>().prop_map(Value::from),
        text(),
        uuid
    ]
}

fn datum() -> impl Strategy<Value = Value> {
    let pairs = prop::collection::vec((atom(), atom()), 0..4);
    prop_oneof![
        atom(),
        prop::collection::vec(atom(), 0..4).prop_map(|members| json!(["set", members])),
        pairs.prop_map(|pairs| json!(["map", pairs])),
    ]
}

fn kind() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(&["integer", "real", "boolean", "string", "uuid"][..]);
    let bounds = prop_oneof![Just(json!(0)), Just(json!(1)), Just(json!(2)), Just(json!("unlimited"))];
    (name.clone(), prop::option::of(name), bounds.clone(), bounds).prop_map(|(key, value, min, max)| {
        match value {
            Some(value) => json!({"key": key, "value": value, "min": min, "max": max}),
            None => json!({"key": {"type": key}, "min": min, "max": max}),
        }
    })
}

fn update() -> impl Strategy<Value = Value> {
    let verb = prop::sample::select(&["initial", "insert", "modify", "delete", "new", "old"][..]);
    let columns = prop::collection::btree_map("[ab]", datum(), 0..3).prop_map(|columns| json!(columns));
    let uuid = (0_u128..2).prop_map(|number| ovsdb::Uuid(number).to_string());
    let how = prop::sample::select(&["update", "update2"][..]);
    (how, uuid, verb, columns)
        .prop_map(|(how, uuid, verb, columns)| json!({how: {"T": {uuid: {verb: columns}}}}))
}

/// Of messages, and of what is nearly one.
fn message() -> impl Strategy<Value = Value> {
    let id = prop_oneof![(0_u64..8).prop_map(Value::from), Just(Value::Null), text()];
    let member = prop::sample::select(&["result", "error", "params", "method"][..]);
    let members = prop::collection::btree_map(member, prop_oneof![datum(), text(), Just(Value::Null)], 0..4);
    (id, members).prop_map(|(id, members)| {
        let mut message = json!(members);
        message["id"] = id;
        message
    })
}

proptest! {
    #[test]
    fn any_messages_are_cut_alike(
        choice in any::<u8>(),
        messages in prop::collection::vec((message(), "[ \n]?", prop::option::weighted(0.1, any::<u8>())), 0..8),
    ) {
        let mut bytes = vec![choice];
        for (message, space, noise) in messages {
            bytes.extend(message.to_string().into_bytes());
            bytes.extend(space.into_bytes());
            bytes.extend(noise);
        }
        properties::stream(&bytes);
    }

    #[test]
    fn any_bytes_are_cut_alike(bytes in prop::collection::vec(any::<u8>(), 0..64), often in 0_usize..64) {
        properties::stream(&bytes);
        properties::stream(&[b"\0", bytes.repeat(often).as_slice()].concat());
        properties::stream(&[b"\0{\"a\":\"", bytes.repeat(often).as_slice()].concat());
    }

    #[test]
    fn any_value_is_read_by_its_type(kind in kind(), value in datum(), change in datum()) {
        properties::values(json!([kind, value, change]).to_string().as_bytes());
        properties::values(json!([{"count": 1}, value]).to_string().as_bytes());
        properties::values(value[1].to_string().as_bytes());
    }

    #[test]
    fn any_updates_are_kept(first in kind(), second in kind(), steps in prop::collection::vec(update(), 0..8)) {
        let schema = json!({"tables": {"T": {"columns": {"a": {"type": first}, "b": {"type": second}}}}});
        let document = json!({"schema": schema, "monitored": {"T": ["a", "b"]}, "steps": steps});
        properties::tables(document.to_string().as_bytes());
    }
}
