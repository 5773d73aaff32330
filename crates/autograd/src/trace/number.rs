//! Numbers in JSON, which has no NaN and no infinity: those are texts.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A number, or one of the texts `"NaN"`, `"inf"`, `"-inf"`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Number(f64),
    Text(String),
}

fn written(v: f64) -> Written {
    if v.is_finite() { Written::Number(v) } else { Written::Text(v.to_string()) }
}

fn read<E: Error>(written: Written) -> Result<f64, E> {
    match written {
        Written::Number(v) => Ok(v),
        Written::Text(text) => match &*text {
            "NaN" | "inf" | "-inf" => text.parse().map_err(E::custom),
            _ => Err(E::custom(format!("{text:?} is no number; \"NaN\", \"inf\" and \"-inf\" would be"))),
        },
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde wants it so
pub(crate) fn serialize<S: Serializer>(v: &f64, to: S) -> Result<S::Ok, S::Error> {
    written(*v).serialize(to)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    read(Written::deserialize(from)?)
}

/// The same for the elements of an array, if they were kept.
pub(crate) mod list {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Written, read, written};

    #[allow(clippy::ref_option)] // serde wants it so
    pub(crate) fn serialize<S: Serializer>(v: &Option<Vec<f64>>, to: S) -> Result<S::Ok, S::Error> {
        v.as_ref().map(|v| v.iter().map(|v| written(*v)).collect::<Vec<_>>()).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<f64>>, D::Error> {
        let list = Option::<Vec<Written>>::deserialize(from)?;
        list.map(|list| list.into_iter().map(read).collect()).transpose()
    }
}
