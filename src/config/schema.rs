//! The description → JSON Schema, for editors.

use serde_json::{Map, Value, json};

use super::describe::{Key, Presence, Shape};
use super::section::described;
use super::sections;

/// JSON Schema (draft 2020-12) of the configuration file.
#[must_use]
pub fn schema() -> String {
    let (_, keys) = described(sections::file);
    let mut root = Map::new();
    root.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    root.insert("title".to_owned(), json!("Keyward configuration"));
    if let Value::Object(object) = object(&keys) {
        root.extend(object);
    }
    // Writing a value that was just made cannot fail; should it, an empty schema harms nobody.
    let mut text = serde_json::to_string_pretty(&Value::Object(root)).unwrap_or_default();
    text.push('\n');
    text
}

fn object(keys: &[Key]) -> Value {
    let mut object = Map::new();
    object.insert("type".to_owned(), json!("object"));
    object.insert("additionalProperties".to_owned(), json!(false));
    let properties: Map<String, Value> =
        keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    object.insert("properties".to_owned(), Value::Object(properties));
    let named = |presence: fn(&Presence) -> bool| -> Vec<&str> {
        keys.iter().filter(|key| presence(&key.presence)).map(|key| key.name).collect()
    };
    let required = named(|presence| *presence == Presence::Required);
    if !required.is_empty() {
        object.insert("required".to_owned(), json!(required));
    }
    let group = named(|presence| matches!(presence, Presence::OneOf(_)));
    if !group.is_empty() {
        let one: Vec<Value> = group.iter().map(|name| json!({ "required": [name] })).collect();
        object.insert("oneOf".to_owned(), json!(one));
    }
    Value::Object(object)
}

fn property(key: &Key) -> Value {
    let mut schema = Map::new();
    if !key.comment.is_empty() {
        schema.insert("description".to_owned(), json!(key.comment));
    }
    if let Value::Object(shape) = form(&key.shape) {
        schema.extend(shape);
    }
    Value::Object(schema)
}

fn form(shape: &Shape) -> Value {
    match shape {
        Shape::Scalar { schema, text, default } => {
            let mut schema = schema.clone();
            if let (true, Value::Object(object)) = (*default, &mut schema) {
                object.insert("default".to_owned(), typed(text));
            }
            schema
        }
        Shape::Scalars { schema, needed: true, .. } => {
            json!({ "type": "array", "items": schema, "uniqueItems": true, "minItems": 1 })
        }
        Shape::Scalars { schema, default, .. } => {
            json!({ "type": "array", "items": schema, "uniqueItems": true, "default": default })
        }
        Shape::Section(keys) => object(keys),
        Shape::Sections { keys, least } => {
            json!({ "type": "array", "items": object(keys), "minItems": least })
        }
        Shape::Pairs { names, values, .. } => {
            json!({ "type": "object", "propertyNames": names, "additionalProperties": values })
        }
        Shape::Map { names, keys, .. } => {
            json!({ "type": "object", "propertyNames": names, "additionalProperties": object(keys) })
        }
        Shape::Tagged { words, default, tags } => {
            let sections = tags.iter().map(|tag| {
                let properties = Map::from_iter([(tag.name.to_owned(), form(&tag.shape))]);
                json!({ "type": "object", "additionalProperties": false, "properties": properties, "required": [tag.name] })
            });
            let word = json!({ "enum": words });
            json!({ "anyOf": std::iter::once(word).chain(sections).collect::<Vec<_>>(), "default": default })
        }
    }
}

/// A default as JSON has it: numbers and booleans are no strings.
fn typed(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Bool(_) | Value::Number(_))) => value,
        _ => json!(text),
    }
}
