//! A value is what its type says, reads as it was written, and takes each change to what the change leads to.

use std::collections::BTreeMap;

use ovsdb::{Atom, ColumnType, Datum, Schema, Uuid, transact};
use serde_json::{Value, json};

/// JSON `[type, value, change]`, each as OVSDB writes it (RFC 7047, sections 3.2 and 5.1).
///
/// # Panics
/// When the property is broken.
pub fn values(data: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Value>(data) else { return };
    assert_text_is_one_uuid(&document);
    assert_results_are_all_or_none(&document);
    let Some([kind, value, change]) = document.as_array().map(Vec::as_slice) else { return };
    let Some(kind) = column_type(kind) else { return };
    let Ok(before) = Datum::parse(value, kind) else { return };
    assert_typed(&before, kind);
    assert_eq!(Datum::parse(&written(&before), kind).as_ref(), Ok(&before), "it does not read as written");
    let mut after = before.clone();
    if after.patch(change, kind).is_ok() {
        assert_typed(&after, kind);
        assert_leads_to(&before, &after, kind);
    }
    if let Ok(other) = Datum::parse(change, kind) {
        assert_leads_to(&before, &other, kind);
    }
}

fn column_type(kind: &Value) -> Option<ColumnType> {
    let schema = json!({"tables": {"T": {"columns": {"c": {"type": kind}}}}});
    Schema::parse(&schema).ok()?.column("T", "c").ok()
}

/// The difference of two values, applied to the first, gives the second.
pub(crate) fn assert_leads_to(before: &Datum, after: &Datum, kind: ColumnType) {
    let mut patched = before.clone();
    patched.patch(&difference(before, after), kind).expect("a difference of two values is a change");
    assert_eq!(&patched, after, "the change from {before:?} leads elsewhere");
}

/// The shape and the atoms are those of the type.
pub(crate) fn assert_typed(value: &Datum, kind: ColumnType) {
    let fits = match (value, kind) {
        (Datum::Scalar(atom), ColumnType::Scalar(of)) => is_a(atom, of),
        (Datum::Optional(atom), ColumnType::Optional(of)) => atom.as_ref().is_none_or(|atom| is_a(atom, of)),
        (Datum::Set(members), ColumnType::Set(of)) => members.iter().all(|atom| is_a(atom, of)),
        (Datum::Map(pairs), ColumnType::Map(key, of)) => {
            pairs.iter().all(|(first, second)| is_a(first, key) && is_a(second, of))
        }
        _ => false,
    };
    assert!(fits, "{value:?} is no {kind:?}");
}

fn is_a(atom: &Atom, kind: ovsdb::schema::AtomType) -> bool {
    use ovsdb::schema::AtomType;
    matches!(
        (atom, kind),
        (Atom::Integer(_), AtomType::Integer)
            | (Atom::Real(_), AtomType::Real)
            | (Atom::Boolean(_), AtomType::Boolean)
            | (Atom::String(_), AtomType::String)
            | (Atom::Uuid(_), AtomType::Uuid)
    )
}

/// A value as a server writes it.
pub(crate) fn written(value: &Datum) -> Value {
    match value {
        Datum::Scalar(atom) => write_atom(atom),
        Datum::Optional(atom) => json!(["set", atom.iter().map(write_atom).collect::<Vec<_>>()]),
        Datum::Set(members) => json!(["set", members.iter().map(write_atom).collect::<Vec<_>>()]),
        Datum::Map(pairs) => write_map(pairs),
    }
}

fn write_atom(atom: &Atom) -> Value {
    match atom {
        Atom::Integer(number) => json!(number),
        Atom::Real(bits) => json!(f64::from_bits(*bits)),
        Atom::Boolean(truth) => json!(truth),
        Atom::String(text) => json!(text),
        Atom::Uuid(uuid) => json!(["uuid", uuid.to_string()]),
    }
}

fn write_map(pairs: &BTreeMap<Atom, Atom>) -> Value {
    let pairs = pairs.iter().map(|(key, value)| json!([write_atom(key), write_atom(value)]));
    json!(["map", pairs.collect::<Vec<_>>()])
}

/// What `update2` tells when a column changes from one value to another (ovsdb-server(7), section 4.1.14).
fn difference(before: &Datum, after: &Datum) -> Value {
    match (before, after) {
        (Datum::Set(old), Datum::Set(new)) => {
            written(&Datum::Set(old.symmetric_difference(new).cloned().collect()))
        }
        (Datum::Map(old), Datum::Map(new)) => {
            let gone = old.iter().filter(|(key, _)| !new.contains_key(key));
            let come = new.iter().filter(|(key, value)| old.get(key) != Some(value));
            write_map(&gone.chain(come).map(|(key, value)| (key.clone(), value.clone())).collect())
        }
        _ => written(after),
    }
}

fn assert_text_is_one_uuid(document: &Value) {
    let Some(text) = document.as_str() else { return };
    if let Ok(uuid) = text.parse::<Uuid>() {
        assert_eq!(uuid.to_string(), text.to_lowercase());
    }
}

fn assert_results_are_all_or_none(document: &Value) {
    let operations = document.as_array().map_or(0, Vec::len);
    let failed = |result: &Value| result.is_null() || result.get("error").is_some();
    let committed = document.as_array().is_some_and(|results| !results.iter().any(failed));
    assert_eq!(transact::check(document, operations).is_ok(), committed);
}
