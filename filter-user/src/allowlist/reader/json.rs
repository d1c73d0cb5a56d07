//! Reads JSON.

use jsonc_parser::{CollectOptions, ParseOptions, ast, common::Ranged, parse_to_ast};

use super::{
    super::{
        document::{Document, LineIndex},
        model::Finding,
        problem::Fault,
    },
    shapes,
    tree::{Node, Tree},
};

/// Strict JSON: nothing that JSON5 or comments add.
const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Reads a JSON file.
pub(super) fn read(text: &str) -> Document {
    let index = LineIndex::new(text);
    match parse_to_ast(text, &CollectOptions::default(), &STRICT) {
        Ok(parsed) => match parsed.value {
            Some(value) => shapes::document_of(&tree(&value, &index)),
            None => failed(0, "the file is empty"),
        },
        Err(error) => {
            let line = index.line_of(error.range().start);
            failed(line, &format!("not JSON: {}", error.kind()))
        }
    }
}

/// A document that could not be read.
pub(super) fn failed(line: u32, message: &str) -> Document {
    let message = message.trim_end_matches('.');
    Document { errors: vec![Finding::new(line, Fault::Syntax.of(message))], ..Document::default() }
}

fn tree(value: &ast::Value<'_>, index: &LineIndex) -> Tree {
    let node = match value {
        ast::Value::Object(object) => {
            let properties = object.properties.iter();
            Node::Object(
                properties.map(|property| (property.name.as_str().to_owned(), tree(&property.value, index))).collect(),
            )
        }
        ast::Value::Array(array) => Node::List(array.elements.iter().map(|element| tree(element, index)).collect()),
        ast::Value::StringLit(text) => Node::Text(text.value.to_string()),
        ast::Value::NumberLit(number) => Node::Text(number.value.to_owned()),
        ast::Value::BooleanLit(boolean) => Node::Text(boolean.value.to_string()),
        ast::Value::NullKeyword(_) => Node::Null,
    };
    Tree { line: index.line_of(value.range().start), node }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_json_is_refused_with_its_line() {
        let errors = read("{\n \"a\": [1,\n}").errors;
        assert_eq!(errors[0].line, 3, "{errors:?}");
        assert!(errors[0].message.starts_with("not JSON: "), "{errors:?}");
    }

    #[test]
    fn deep_nesting_is_refused() {
        let errors = read(&"[".repeat(1_000_000)).errors;
        assert!(errors[0].message.contains("nesting depth"), "{errors:?}");
    }
}
