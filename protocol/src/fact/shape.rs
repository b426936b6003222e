//! Which fields each fact has, and of what kind: for hooks, for `pistop publish`, for the contract in words. Nobody writes
//! that list. The derive that reads facts knows it, and says it in its errors: offered a fact without a name it answers with
//! all names, offered one without its fields it names the first that is missing. So we ask until it is content.

use super::{Fact, Rule};
use serde::de::value::MapDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IntoDeserializer, Visitor};
use std::fmt;
use std::sync::LazyLock;

/// What a field holds. Nothing else may stand in a fact: each field becomes one variable of a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    /// `true` or `false`.
    Flag,
    /// A number, perhaps with a fraction.
    Number,
    /// A whole number from 0 on.
    Whole,
    /// Any text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Plain::Flag => f.write_str("true or false"),
            Plain::Number => f.write_str("a number"),
            Plain::Whole => f.write_str("a whole number from 0 on"),
            Plain::Text => f.write_str("text"),
            Plain::Word(words) => write!(f, "one of {}", words.join(", ")),
        }
    }
}

/// A field of a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name in JSON.
    pub name: &'static str,
    /// What it holds.
    pub plain: Plain,
}

/// What is known of a kind of fact without having one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// What holds for it.
    pub rule: Rule,
    /// Its fields, in their order.
    pub fields: Vec<Field>,
}

static SHAPES: LazyLock<Vec<Shape>> = LazyLock::new(|| names().iter().map(|name| learn(name)).collect());

/// Those of all facts, in the order of [`Fact`].
pub fn shapes() -> &'static [Shape] {
    &SHAPES
}

/// That of the fact with this name.
pub fn shape(name: &str) -> Option<&'static Shape> {
    SHAPES.iter().find(|shape| shape.rule.name == name)
}

fn names() -> &'static [&'static str] {
    match build("", &[]) {
        Err(Why::NoSuch(names)) => names,
        _ => &[],
    }
}

fn learn(name: &'static str) -> Shape {
    let mut fields: Vec<Field> = Vec::new();
    loop {
        match (build(name, &fields), fields.last_mut()) {
            (Ok(fact), _) => return Shape { rule: fact.rule(), fields },
            (Err(Why::Missing(name)), _) => fields.push(Field { name, plain: Plain::Flag }),
            (Err(Why::NoSuch(words)), Some(last)) => last.plain = Plain::Word(words),
            (Err(_), Some(last)) => last.plain = another(last.plain).expect("a field is text, a number or a flag"),
            (Err(_), None) => unreachable!("without fields, only fields can be wrong"),
        }
    }
}

/// What to offer when this was not it. A fraction comes before a whole number, which would do in its place.
fn another(plain: Plain) -> Option<Plain> {
    match plain {
        Plain::Flag => Some(Plain::Number),
        Plain::Number => Some(Plain::Whole),
        Plain::Whole => Some(Plain::Text),
        Plain::Text | Plain::Word(_) => None,
    }
}

fn build(name: &'static str, fields: &[Field]) -> Result<Fact, Why> {
    let fields = fields.iter().map(|field| (field.name, Offer::of(field.plain)));
    Fact::deserialize(MapDeserializer::new(std::iter::once(("fact", Offer::Text(name))).chain(fields)))
}

/// A value that a field may take or refuse.
enum Offer {
    Flag,
    Number,
    Whole,
    Text(&'static str),
}

impl Offer {
    fn of(plain: Plain) -> Offer {
        match plain {
            Plain::Flag => Offer::Flag,
            Plain::Number => Offer::Number,
            Plain::Whole => Offer::Whole,
            Plain::Text => Offer::Text(""),
            Plain::Word(words) => Offer::Text(words.first().copied().unwrap_or_default()),
        }
    }
}

impl IntoDeserializer<'_, Why> for Offer {
    type Deserializer = Offer;
    fn into_deserializer(self) -> Offer {
        self
    }
}

impl<'de> Deserializer<'de> for Offer {
    type Error = Why;
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Why> {
        match self {
            Offer::Flag => visitor.visit_bool(false),
            Offer::Number => visitor.visit_f64(0.5),
            Offer::Whole => visitor.visit_u64(0),
            Offer::Text(text) => visitor.visit_str(text),
        }
    }
    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// What was not content.
#[derive(Debug)]
enum Why {
    Missing(&'static str),
    NoSuch(&'static [&'static str]),
    Other,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Why {}

impl Error for Why {
    fn custom<T: fmt::Display>(_: T) -> Why {
        Why::Other
    }
    fn missing_field(field: &'static str) -> Why {
        Why::Missing(field)
    }
    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Why {
        Why::NoSuch(expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_their_kinds_are_those_of_the_fact() {
        let plain = |name: &str| shape(name).unwrap().fields.iter().map(|f| (f.name, f.plain)).collect::<Vec<_>>();
        assert_eq!(plain("motion"), [("camera", Plain::Text), ("percent", Plain::Number)]);
        let closed = [
            ("camera", Plain::Text),
            ("file", Plain::Text),
            ("bytes", Plain::Whole),
            ("duration-ms", Plain::Whole),
            ("motion", Plain::Flag),
        ];
        assert_eq!(plain("segment-closed"), closed);
        assert_eq!(plain("machine-state")[0], ("state", Plain::Word(&["online", "draining", "offline"])));
        assert_eq!((shape("moton"), shapes().len()), (None, names().len()));
    }
}
