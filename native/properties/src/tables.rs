//! A replica has what it was told: rows of whole columns, each of its type, and what changed is what it says.

use std::collections::{BTreeMap, BTreeSet};

use ovsdb::{Change, ColumnType, Malformed, Replica, Row, Schema};
use serde_json::{Map, Value, json};

use crate::values::{assert_leads_to, assert_typed, written};

type Monitored = BTreeMap<String, Vec<String>>;

/// JSON `{"schema": ..., "monitored": {table: [column, ...]}, "steps": [{"update": ...} or {"update2": ...}, ...]}`.
///
/// # Panics
/// When the property is broken.
pub fn tables(data: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Value>(data) else { return };
    let Some(monitored) = monitored(&document["monitored"]) else { return };
    let mut replica = Replica::default();
    if replica.reset(&document["schema"], &monitored).is_err() {
        return;
    }
    let schema = Schema::parse(&document["schema"]).expect("it was read before");
    for step in document["steps"].as_array().into_iter().flatten() {
        let before = copy(&replica, &monitored);
        let Some(told) = tell(&mut replica, step) else { continue };
        let Ok(changes) = told else { break };
        let after = copy(&replica, &monitored);
        assert_complete(&after, &monitored, &schema);
        assert_changes(&before, &after, &changes, &schema);
        assert_told_again(&document["schema"], &monitored, &after);
    }
    // Whatever it was told, it can begin anew.
    replica.reset(&document["schema"], &monitored).expect("it was read before");
    assert!(monitored.keys().all(|table| replica.rows(table).next().is_none()));
}

fn monitored(value: &Value) -> Option<Monitored> {
    let columns = |names: &Value| {
        names.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    };
    value.as_object()?.iter().map(|(table, names)| Some((table.clone(), columns(names)?))).collect()
}

fn tell(replica: &mut Replica, step: &Value) -> Option<Result<Vec<Change>, Malformed>> {
    if let Some(updates) = step.get("update2") {
        return Some(replica.update2(updates));
    }
    step.get("update").map(|updates| replica.update(updates))
}

/// All rows, by table and identifier.
type Rows = BTreeMap<(String, String), Row>;

fn copy(replica: &Replica, monitored: &Monitored) -> Rows {
    let rows = |table: &String| {
        let table = table.clone();
        replica
            .rows(&table.clone())
            .map(move |(uuid, row)| ((table.clone(), uuid.to_string()), row.clone()))
            .collect::<Vec<_>>()
    };
    monitored.keys().flat_map(rows).collect()
}

fn kind(schema: &Schema, table: &str, column: &str) -> ColumnType {
    schema.column(table, column).expect("a monitored column is in the schema")
}

fn assert_complete(rows: &Rows, monitored: &Monitored, schema: &Schema) {
    for ((table, _), row) in rows {
        let names: BTreeSet<&String> = monitored[table].iter().collect();
        assert!(row.keys().eq(names), "{table} has {:?}", row.keys());
        for (column, value) in row.iter() {
            assert_typed(value, kind(schema, table, column));
        }
    }
}

/// No row changed that was not named, and each change of a column can be told as a difference.
fn assert_changes(before: &Rows, after: &Rows, changes: &[Change], schema: &Schema) {
    let named = |(table, uuid): &(String, String)| {
        changes.iter().any(|change| change.table == *table && change.uuid.to_string() == *uuid)
    };
    for (key, old) in before {
        match after.get(key) {
            Some(new) => {
                assert!(named(key) || old == new, "{key:?} changed unsaid");
                for (column, value) in new.iter() {
                    assert_leads_to(&old[column], value, kind(schema, &key.0, column));
                }
            }
            None => assert!(named(key), "{key:?} went unsaid"),
        }
    }
    assert!(after.keys().all(|key| before.contains_key(key) || named(key)), "a row came unsaid");
}

/// The same rows told to a new replica in one piece give the same rows.
fn assert_told_again(schema: &Value, monitored: &Monitored, rows: &Rows) {
    let mut updates = Map::new();
    for ((table, uuid), row) in rows {
        let columns: Map<String, Value> =
            row.iter().map(|(column, value)| (column.clone(), written(value))).collect();
        let table = updates.entry(table.clone()).or_insert_with(|| json!({}));
        table[uuid] = json!({"initial": columns});
    }
    let mut again = Replica::default();
    again.reset(schema, monitored).expect("it was read before");
    again.update2(&Value::Object(updates)).expect("what was read can be told");
    assert_eq!(&copy(&again, monitored), rows);
}
