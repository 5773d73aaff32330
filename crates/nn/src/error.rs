//! Errors: what was wrong, where, and what would fit.

use std::{fmt, io, path::PathBuf};

/// Why a model could not be built, trained, saved or loaded, or data not be read.
///
/// Its debug form is its message, so that `fn main() -> Result<(), nn::Error>` prints something to read.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operation on tensors or variables could not be done.
    #[error(transparent)]
    Autograd(#[from] autograd::Error),

    /// A setting has a value that makes no sense.
    #[error("{what}: {why}")]
    Config {
        /// The setting, with its value.
        what: String,
        /// What is wrong with it, or what it must be.
        why: String,
    },

    /// A parameter was to be given a value of another shape.
    #[error("a parameter of shape {expected:?} cannot be set to a tensor of shape {found:?}")]
    ParameterShape {
        /// The shape of the parameter.
        expected: Vec<usize>,
        /// The shape of the tensor.
        found: Vec<usize>,
    },
    /// Two parameters of a model have the same name.
    #[error("two parameters of the model are named {name:?}; names must differ")]
    DuplicateParameter {
        /// The name.
        name: String,
    },
    /// The gradients hold nothing for any parameter of the model.
    #[error("none of the {count} parameters of the model has a gradient; of {name}: {why}")]
    NoGradients {
        /// How many parameters the model has.
        count: usize,
        /// The first of them.
        name: String,
        /// Why it has none.
        why: String,
    },
    /// A step of an optimiser would have made a parameter infinite or NaN; the model is unchanged.
    #[error(
        "the step{} would make {name:?} infinite or NaN: a smaller learning rate or smaller initial weights may help, and the data should be scaled",
        .at.map(|(epoch, step)| format!(" (epoch {epoch}, step {step})")).unwrap_or_default()
    )]
    NonFiniteStep {
        /// The first such parameter.
        name: String,
        /// The epoch and the step in it, both from 1, in [`fit`](crate::fit()).
        at: Option<(usize, usize)>,
    },
    /// The loss became infinite or NaN while training.
    #[error(
        "the loss was {loss} in epoch {epoch}, step {step}: a smaller learning rate or smaller initial weights may help, and the data should be scaled"
    )]
    Diverged {
        /// The epoch, from 1.
        epoch: usize,
        /// The step in that epoch, from 1.
        step: usize,
        /// The loss.
        loss: f64,
    },

    /// A file could not be read or written.
    #[error("{}: {cause}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },

    /// A CSV file has no rows below its header.
    #[error("{}: there are no rows of data", .path.display())]
    NoRows {
        /// The file.
        path: PathBuf,
    },
    /// The text is not CSV.
    #[error("{}{}: {why}", .path.display(), .line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Csv {
        /// The file.
        path: PathBuf,
        /// The line, from 1, if it is known.
        line: Option<u64>,
        /// What is wrong.
        why: String,
    },
    /// A row has more or fewer fields than the header.
    #[error("{}, line {line}: the row has {found} fields, but the header has {expected}", .path.display())]
    RaggedRow {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The number of fields of the header.
        expected: usize,
        /// The number of fields of the row.
        found: usize,
    },
    /// There is no column of that name.
    #[error("{}: there is no column {:?}; there are {}", .path.display(), short(.column), quoted(.available))]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The name asked for.
        column: String,
        /// The names there are.
        available: Vec<String>,
    },
    /// A field does not hold what was expected.
    #[error("{}, line {line}, column {:?}: {:?} is not {expected}", .path.display(), short(.column), short(.text))]
    Field {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The name of the column.
        column: String,
        /// The text of the field.
        text: String,
        /// What it should be.
        expected: &'static str,
    },

    /// A file of weights is damaged, or something else.
    #[error("{}: the file is damaged or not a safetensors file: {why}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found wrong.
        why: String,
    },
    /// A file of weights lacks parameters of the model.
    #[error("{}: the file lacks {} of the model; it holds {}", .path.display(), quoted(.names), quoted(.available))]
    MissingParameters {
        /// The file.
        path: PathBuf,
        /// The parameters that it lacks.
        names: Vec<String>,
        /// The parameters that it holds.
        available: Vec<String>,
    },
    /// A file of weights holds parameters that the model does not have.
    #[error("{}: the file holds {}, which the model does not have", .path.display(), quoted(.names))]
    UnexpectedParameters {
        /// The file.
        path: PathBuf,
        /// The parameters.
        names: Vec<String>,
    },
    /// A parameter has another shape in the file than in the model.
    #[error("{}: {name:?} has shape {file:?} in the file, but {model:?} in the model", .path.display())]
    ShapeMismatch {
        /// The file.
        path: PathBuf,
        /// The parameter.
        name: String,
        /// The shape in the file.
        file: Vec<usize>,
        /// The shape in the model.
        model: Vec<usize>,
    },
    /// A parameter has another element type in the file than in the model.
    #[error("{}: {name:?} is {file} in the file, but the model is {model}; {}", .path.display(), dtype_advice(.file))]
    DtypeMismatch {
        /// The file.
        path: PathBuf,
        /// The parameter.
        name: String,
        /// The element type in the file.
        file: String,
        /// The element type of the model.
        model: &'static str,
    },
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error {
    pub(crate) fn config(what: impl Into<String>, why: impl Into<String>) -> Error {
        Error::Config { what: what.into(), why: why.into() }
    }
}

/// Which models take elements of this type.
fn dtype_advice(file: &str) -> &'static str {
    match file {
        "f64" => "load it into a model of f64, or save it as f32",
        "f32" => "load it into a model of f32 or f64",
        _ => "only f32 and f64 can be loaded, so convert the file to one of them",
    }
}

/// A text for a message, cut where it would be long.
fn short(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A list of names for a message, shortened where it would be long.
fn quoted(names: &[String]) -> String {
    const SHOWN: usize = 12;
    if names.is_empty() {
        return "nothing".to_owned();
    }
    let shown: Vec<_> = names.iter().take(SHOWN).map(|name| format!("{:?}", short(name))).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
