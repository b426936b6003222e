//! A fact out of words, as people and scripts give them: `camera/motion camera=cam1 percent=12.5`.

use protocol::fact::{Fact, Field, Plain, Shape, shapes};
use protocol::name::printable;
use runner::nearest;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Why words make no fact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFact {
    /// There is none of that name.
    #[error("`{given}` is no fact; did you mean `{nearest}`?")]
    Unknown {
        /// What was given.
        given: String,
        /// The nearest known one, with its family.
        nearest: String,
    },
    /// A field was not given.
    #[error("{fact} lacks `{field}`; it wants {wanted}")]
    Missing {
        /// The fact with its family.
        fact: String,
        /// The field.
        field: &'static str,
        /// All its fields.
        wanted: String,
    },
    /// A field was given that it has not.
    #[error("{fact} has no `{field}`; it wants {wanted}")]
    Extra {
        /// The fact with its family.
        fact: String,
        /// What was given.
        field: String,
        /// All its fields.
        wanted: String,
    },
    /// A field was given twice.
    #[error("`{0}` is given twice; give it once")]
    Twice(&'static str),
    /// A value is not of the kind that its field holds.
    #[error("{field}={value}: give {wanted}")]
    Value {
        /// The field.
        field: &'static str,
        /// What was given.
        value: String,
        /// What it holds.
        wanted: Plain,
    },
}

/// The fact of this family and name, as in `camera/motion`, with these fields.
///
/// # Errors
/// There is no such fact, a field is missing, unknown or given twice, or a value is not what its field holds.
pub fn parse(family_and_name: &str, pairs: &[(String, String)]) -> Result<Fact, BadFact> {
    let shape = shapes().iter().find(|shape| full(shape) == family_and_name);
    let shape = shape.ok_or_else(|| unknown(family_and_name))?;
    let extra = |(name, _): &&(String, String)| shape.fields.iter().all(|field| field.name != name);
    if let Some((name, _)) = pairs.iter().find(extra) {
        let (fact, field) = (full(shape), printable(name.as_bytes()));
        return Err(BadFact::Extra { fact, field, wanted: wanted(shape) });
    }
    let mut body = Map::from_iter([("fact".to_owned(), shape.rule.name.into())]);
    for field in &shape.fields {
        body.insert(field.name.into(), value(shape, field, pairs)?);
    }
    Ok(Fact::deserialize(Value::Object(body)).expect("each field holds what its fact wants there"))
}

fn full(shape: &Shape) -> String {
    format!("{}/{}", shape.rule.family, shape.rule.name)
}

/// Whoever forgot the family, or gave the wrong one, meant the fact of that name.
fn unknown(given: &str) -> BadFact {
    let (_, name) = given.rsplit_once('/').unwrap_or(("", given));
    let same = shapes().iter().find(|shape| shape.rule.name == name).map(full);
    let all: Vec<String> = shapes().iter().map(full).collect();
    let nearest = same.or_else(|| nearest(given, all.iter().map(String::as_str)).map(String::from));
    BadFact::Unknown { given: printable(given.as_bytes()), nearest: nearest.unwrap_or_default() }
}

fn wanted(shape: &Shape) -> String {
    let fields: Vec<String> = shape.fields.iter().map(|field| format!("{} ({})", field.name, field.plain)).collect();
    fields.join(", ")
}

fn value(shape: &Shape, field: &Field, pairs: &[(String, String)]) -> Result<Value, BadFact> {
    let mut given = pairs.iter().filter(|(name, _)| name == field.name);
    match (given.next(), given.next()) {
        (Some((_, text)), None) => convert(field.plain, text).ok_or_else(|| BadFact::Value {
            field: field.name,
            value: super::escaped(text),
            wanted: field.plain,
        }),
        (Some(_), Some(_)) => Err(BadFact::Twice(field.name)),
        (None, _) => Err(BadFact::Missing { fact: full(shape), field: field.name, wanted: wanted(shape) }),
    }
}

fn convert(plain: Plain, text: &str) -> Option<Value> {
    match plain {
        Plain::Flag => text.parse::<bool>().ok().map(Value::from),
        Plain::Number => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from),
        Plain::Whole => text.parse::<u64>().ok().map(Value::from),
        Plain::Text => Some(text.into()),
        Plain::Word(words) => words.contains(&text).then(|| text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &str) -> Result<Fact, BadFact> {
        let (name, fields) = words.split_once(' ').unwrap_or((words, ""));
        let pair = |word: &str| word.split_once('=').map(|(name, value)| (name.into(), value.into())).unwrap();
        parse(name, &fields.split_whitespace().map(pair).collect::<Vec<_>>())
    }

    fn why(words: &str) -> String {
        said(words).unwrap_err().to_string()
    }

    #[test]
    fn words_make_a_fact() {
        let motion = Fact::Motion { camera: "cam1".into(), percent: 12.0 };
        assert_eq!(said("camera/motion percent=12 camera=cam1"), Ok(motion));
        let camera = Fact::Camera { camera: "17".into(), online: true, recording: false, encoder: "x264".into() };
        assert_eq!(said("camera/camera camera=17 online=true recording=false encoder=x264"), Ok(camera));
        let state = said("presence/machine-state state=draining boot=7 program=p cause=c").unwrap();
        assert!(matches!(state, Fact::MachineState { boot: 7, .. }), "{state:?}");
    }

    #[test]
    fn every_fact_can_be_said() {
        for shape in shapes() {
            let value = |plain| match plain {
                Plain::Flag => "true",
                Plain::Number | Plain::Whole => "18446744073709551615",
                Plain::Text => "x=y",
                Plain::Word(words) => words[0],
            };
            let pairs: Vec<_> = shape.fields.iter().map(|f| (f.name.to_owned(), value(f.plain).to_owned())).collect();
            assert_eq!(parse(&full(shape), &pairs).unwrap().rule(), shape.rule);
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_the_remedy() {
        assert_eq!(why("camera/moton camera=cam1"), "`camera/moton` is no fact; did you mean `camera/motion`?");
        assert_eq!(why("backup/motion"), "`backup/motion` is no fact; did you mean `camera/motion`?");
        assert_eq!(why("motion"), "`motion` is no fact; did you mean `camera/motion`?");
        let wanted = "it wants camera (text), percent (a number)";
        assert_eq!(why("camera/motion camera=cam1"), format!("camera/motion lacks `percent`; {wanted}"));
        assert_eq!(why("camera/motion camera=1 percnt=1"), format!("camera/motion has no `percnt`; {wanted}"));
        assert_eq!(why("camera/motion camera=1 fact=1 percent=1"), format!("camera/motion has no `fact`; {wanted}"));
        assert_eq!(why("camera/motion camera=1 camera=2 percent=1"), "`camera` is given twice; give it once");
        assert_eq!(why("camera/motion camera=1 percent=NaN"), "percent=NaN: give a number");
        assert_eq!(why("upload/upload-queue files=1.5 bytes=1 oldest=1"), "files=1.5: give a whole number from 0 on");
        assert_eq!(why("camera/camera camera=1 online=yes recording=true"), "online=yes: give true or false");
        let state = "presence/machine-state state=away boot=7 program=p cause=c";
        assert_eq!(why(state), "state=away: give one of online, draining, offline");
    }
}
