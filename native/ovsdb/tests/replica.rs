//! The replica, fed with updates as an ovsdb-server sends them.

use std::collections::BTreeMap;

use ovsdb::{Atom, Change, Datum, Replica, Uuid};
use serde_json::{Value, json};

const PORT: &str = "00000000-0000-0000-0000-000000000001";

fn replica() -> Replica {
    let schema = json!({"tables": {"Port": {"columns": {
        "name": {"type": "string"},
        "tag": {"type": {"key": "integer", "min": 0}},
        "trunks": {"type": {"key": "integer", "min": 0, "max": 4096}},
        "other_config": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
    }}}});
    let monitored =
        BTreeMap::from([(String::from("Port"), vec!["name".to_owned(), "tag".into(), "trunks".into()])]);
    let mut replica = Replica::default();
    replica.reset(&schema, &monitored).unwrap();
    replica
}

fn update2(replica: &mut Replica, update: &Value) -> Vec<Change> {
    replica.update2(&json!({"Port": {PORT: update}})).unwrap()
}

fn tag(replica: &Replica) -> Option<Datum> {
    replica.row("Port", Uuid(1)).map(|row| row["tag"].clone())
}

#[test]
fn a_row_comes_with_its_defaults_changes_and_goes() {
    let mut replica = replica();
    let change = vec![Change { table: "Port".into(), uuid: Uuid(1) }];
    assert_eq!(update2(&mut replica, &json!({"initial": {"name": "vm0"}})), change);
    assert_eq!(tag(&replica), Some(Datum::Optional(None)));
    assert_eq!(update2(&mut replica, &json!({"modify": {"tag": 100}})), change);
    assert_eq!(tag(&replica), Some(Datum::Optional(Some(Atom::Integer(100)))));
    assert_eq!(replica.row("Port", Uuid(1)).unwrap()["name"], Datum::Scalar(Atom::String("vm0".into())));
    assert_eq!(update2(&mut replica, &json!({"delete": null})), change);
    assert_eq!(tag(&replica), None);
}

#[test]
fn the_older_update_tells_whole_rows() {
    let mut replica = replica();
    replica
        .update(&json!({"Port": {PORT: {"new": {"name": "vm0", "tag": 5, "trunks": ["set", []]}}}}))
        .unwrap();
    let changed = json!({"old": {"tag": 5}, "new": {"name": "vm0", "tag": 7, "trunks": ["set", []]}});
    replica.update(&json!({"Port": {PORT: changed}})).unwrap();
    assert_eq!(tag(&replica), Some(Datum::Optional(Some(Atom::Integer(7)))));
    replica.update(&json!({"Port": {PORT: {"old": {"name": "vm0"}}}})).unwrap();
    assert_eq!(replica.rows("Port").count(), 0);
}

#[test]
fn a_held_row_does_not_change_under_its_holder() {
    let mut replica = replica();
    update2(&mut replica, &json!({"insert": {"name": "vm0"}}));
    let held = replica.row("Port", Uuid(1)).unwrap().clone();
    update2(&mut replica, &json!({"modify": {"tag": 9}}));
    assert_eq!(held["tag"], Datum::Optional(None));
}

#[test]
fn updates_that_make_no_sense_are_loud() {
    for update in [
        json!({"Bridge": {PORT: {"insert": {}}}}),
        json!({"Port": {PORT: {"modify": {"tag": 1}}}}),
        json!({"Port": {PORT: {"wiggle": {}}}}),
        json!({"Port": {"port-1": {"insert": {}}}}),
        json!({"Port": {PORT: {"insert": {"tag": "x"}}}}),
        json!([]),
    ] {
        assert!(replica().update2(&update).is_err(), "{update}");
    }
}

#[test]
fn a_reset_forgets_all_rows_and_refuses_unknown_columns() {
    let mut replica = replica();
    update2(&mut replica, &json!({"insert": {"name": "vm0"}}));
    let schema = json!({"tables": {"Port": {"columns": {"name": {"type": "string"}}}}});
    let monitored = |column: &str| BTreeMap::from([(String::from("Port"), vec![column.to_owned()])]);
    assert!(replica.reset(&schema, &monitored("tag")).is_err());
    replica.reset(&schema, &monitored("name")).unwrap();
    assert_eq!(replica.rows("Port").count(), 0);
}
