//! What a route does to fields of its answers: changes of its own, and who may read them.

use http::HeaderMap;

use crate::config::{FieldChanges, Route};

/// Changes the fields of an answer that is no refusal. `asked` are those of the request.
pub fn change(route: &Route, asked: &HeaderMap, fields: &mut HeaderMap) {
    let Some(extras) = &route.extras else { return };
    apply(&extras.response_fields, fields);
    if let Some(cors) = &extras.cors {
        cors.tell(asked, fields);
    }
}

/// The same for a refusal, whose fields are Keyward's: only who may read it is said.
pub fn tell_readers(route: &Route, asked: &HeaderMap, fields: &mut HeaderMap) {
    if let Some(cors) = route.extras.as_ref().and_then(|extras| extras.cors.as_ref()) {
        cors.tell(asked, fields);
    }
}

fn apply(changes: &FieldChanges, fields: &mut HeaderMap) {
    for name in &changes.remove {
        fields.remove(name);
    }
    for (name, value) in &changes.set {
        fields.insert(name, value.clone());
    }
}
