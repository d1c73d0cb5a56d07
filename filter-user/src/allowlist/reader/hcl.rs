//! Reads Terraform's HCL, with JSON that `jsonencode` makes.

use hcl_edit::{
    Span,
    expr::{Expression, ObjectKey},
    parser::parse_body,
    structure::{Body, Structure},
};

use super::{
    super::document::{Document, LineIndex},
    json::failed,
    shapes,
    tree::{Node, Tree},
};

/// Reads a Terraform file.
pub(super) fn read(text: &str) -> Document {
    match parse_body(text) {
        Ok(parsed) => shapes::document_of(&Source { text, index: LineIndex::new(text) }.body(&parsed)),
        Err(error) => {
            let line = u32::try_from(error.location().line()).unwrap_or(u32::MAX);
            failed(line, &format!("not HCL: {}", error.message()))
        }
    }
}

struct Source<'a> {
    text: &'a str,
    index: LineIndex,
}

impl Source<'_> {
    fn body(&self, body: &Body) -> Tree {
        let properties = body.iter().map(|structure| match structure {
            Structure::Attribute(attribute) => {
                (attribute.key.to_string().trim().to_owned(), self.expression(&attribute.value))
            }
            Structure::Block(block) => (block.ident.to_string().trim().to_owned(), self.body(&block.body)),
        });
        Tree { line: self.line(body), node: Node::Object(properties.collect()) }
    }

    fn expression(&self, expression: &Expression) -> Tree {
        let node = match expression {
            Expression::FuncCall(call) if call.name.name.as_str() == "jsonencode" => match call.args.iter().next() {
                Some(argument) => return self.expression(argument),
                None => Node::Null,
            },
            Expression::Parenthesis(inner) => return self.expression(inner.inner()),
            Expression::Object(object) => {
                let properties = object.iter().map(|(key, value)| (key_text(key), self.expression(value.expr())));
                Node::Object(properties.collect())
            }
            Expression::Array(array) => Node::List(array.iter().map(|element| self.expression(element)).collect()),
            Expression::String(text) => Node::Text(text.value().clone()),
            Expression::Null(_) => Node::Null,
            other => Node::Text(self.source(other).trim().to_owned()),
        };
        Tree { line: self.line(expression), node }
    }

    fn line(&self, spanned: &impl Span) -> u32 {
        spanned.span().map_or(0, |span| self.index.line_of(span.start))
    }

    /// The text of an expression that has no value here: a variable, a template.
    fn source(&self, expression: &Expression) -> &str {
        expression.span().and_then(|span| self.text.get(span)).unwrap_or_default()
    }
}

fn key_text(key: &ObjectKey) -> String {
    match key {
        ObjectKey::Ident(name) => name.as_str().to_owned(),
        ObjectKey::Expression(Expression::String(text)) => text.value().clone(),
        ObjectKey::Expression(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_hcl_is_refused_with_its_line() {
        let errors = read("a = 1\nb = [\n").errors;
        assert!(errors[0].line >= 2 && errors[0].message.starts_with("not HCL: "), "{errors:?}");
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert_eq!(read(&format!("a = {}", "[".repeat(200_000))).errors.len(), 1);
        assert_eq!(read(&"a {".repeat(100_000)).errors.len(), 1);
    }
}
