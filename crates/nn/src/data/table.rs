//! Tables read from CSV files: columns by name, and errors that say where.

use std::{
    fs,
    path::{Path, PathBuf},
};

use autograd::{Indices, Real, Tensor};

use super::{Classification, Dataset, Regression};
use crate::error::Error;

/// A CSV file with a header: text in rows and named columns.
///
/// ```
/// use nn::data::Table;
/// let table = Table::parse("area,rooms,price\n52,2,310\n75,3,420\n", "flats.csv")?;
/// let flats = table.regression::<f64>(&["area", "rooms"], &["price"])?;
/// assert_eq!(flats.features().shape(), &[2, 2]);
///
/// let table = Table::parse("area,rooms,price\n52,two,310\n", "flats.csv")?;
/// let error = table.regression::<f64>(&["area", "rooms"], &["price"]).unwrap_err();
/// assert_eq!(error.to_string(), r#"flats.csv, line 2, column "rooms": "two" is not a finite number"#);
/// # Ok::<(), nn::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Table {
    path: PathBuf,
    columns: Vec<String>,
    /// Each row with the line it begins on.
    rows: Vec<(u64, csv::StringRecord)>,
}

impl Table {
    /// Reads a file.
    ///
    /// # Errors
    /// A file that cannot be read, that is not UTF-8, that has no rows, or rows of different lengths.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let text = fs::read(path).map_err(|cause| Error::Io { path: path.to_owned(), cause })?;
        Table::parse(text, path)
    }

    /// Reads text; `path` is what errors call it.
    ///
    /// # Errors
    /// As for [`Table::read`].
    pub fn parse(text: impl AsRef<[u8]>, path: impl Into<PathBuf>) -> Result<Self, Error> {
        let (text, path) = (text.as_ref(), path.into());
        // The position of a row is the end of the one before it; empty lines may stand between.
        let line_of = |position: &csv::Position| {
            let start = usize::try_from(position.byte()).ok().and_then(|byte| text.get(byte..)).unwrap_or_default();
            let empty = start.iter().take_while(|byte| b"\r\n".contains(byte)).filter(|&&byte| byte == b'\n').count();
            position.line() + empty as u64
        };
        let wrong = |error: csv::Error| {
            let line = error.position().map(line_of);
            match error.into_kind() {
                csv::ErrorKind::Utf8 { err, .. } => Error::Csv { path: path.clone(), line, why: err.to_string() },
                other => Error::Csv { path: path.clone(), line, why: format!("{other:?}") },
            }
        };
        // Rows of other lengths are reported here, with their line.
        let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text);
        let columns: Vec<String> = reader.headers().map_err(wrong)?.iter().map(str::to_owned).collect();
        if let Some(twice) = columns.iter().enumerate().find_map(|(i, name)| columns[..i].contains(name).then_some(name)) {
            return Err(Error::Csv { why: format!("two columns are named {twice:?}"), line: Some(1), path });
        }
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(wrong)?;
            let line = record.position().map_or(0, line_of);
            if record.len() != columns.len() {
                return Err(Error::RaggedRow { line, expected: columns.len(), found: record.len(), path });
            }
            rows.push((line, record));
        }
        if rows.is_empty() {
            return Err(Error::NoRows { path });
        }
        Ok(Table { path, columns, rows })
    }

    /// The names of the columns.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The names of all columns but some.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] if there is no column to leave out: misspelt, the target would stay among the features.
    pub fn columns_except(&self, names: &[&str]) -> Result<Vec<&str>, Error> {
        names.iter().try_for_each(|name| self.place(name).map(drop))?;
        Ok(self.columns.iter().map(String::as_str).filter(|column| !names.contains(column)).collect())
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The numbers of some columns, `[rows, columns]`.
    ///
    /// # Errors
    /// [`Error::MissingColumn`], and [`Error::Field`] for what is not a finite number, or not one in `T`.
    pub fn numbers<T: Real>(&self, columns: &[&str]) -> Result<Tensor<T>, Error> {
        let places = columns.iter().map(|column| self.place(column)).collect::<Result<Vec<_>, _>>()?;
        let mut numbers = Vec::with_capacity(self.rows.len() * places.len());
        for (line, row) in &self.rows {
            for &place in &places {
                // 1e39 is finite, but not in f32.
                let parse = |text: &str| text.parse().ok().map(T::of).filter(|v| v.is_finite());
                numbers.push(self.field(*line, row, place, "a finite number", parse)?);
            }
        }
        Ok(Tensor::new(numbers, [self.rows.len(), places.len()])?)
    }

    /// The classes in a column, whole numbers 0, 1, 2, …
    ///
    /// # Errors
    /// [`Error::MissingColumn`], and [`Error::Field`] for what is no such number.
    pub fn classes(&self, column: &str) -> Result<Indices, Error> {
        let place = self.place(column)?;
        let classes = self
            .rows
            .iter()
            .map(|(line, row)| self.field(*line, row, place, "a class (a whole number: 0, 1, 2, …)", |text| text.parse().ok()));
        Ok(Indices::from(classes.collect::<Result<Vec<usize>, _>>()?))
    }

    /// A data set with these columns as features, and a class in the column `label`.
    ///
    /// # Errors
    /// As for [`Table::numbers`] and [`Table::classes`]; [`Error::Config`] if the label is among the features.
    pub fn classification<T: Real>(&self, features: &[&str], label: &str) -> Result<Classification<T>, Error> {
        apart(features, &[label])?;
        Dataset::new(self.numbers(features)?, self.classes(label)?)
    }

    /// A data set with these columns as features, and numbers to be predicted in others.
    ///
    /// # Errors
    /// As for [`Table::numbers`]; [`Error::Config`] if a target is among the features.
    pub fn regression<T: Real>(&self, features: &[&str], targets: &[&str]) -> Result<Regression<T>, Error> {
        apart(features, targets)?;
        Dataset::new(self.numbers(features)?, self.numbers(targets)?)
    }

    fn place(&self, column: &str) -> Result<usize, Error> {
        let missing = || Error::MissingColumn { path: self.path.clone(), column: column.to_owned(), available: self.columns.clone() };
        self.columns.iter().position(|name| name == column).ok_or_else(missing)
    }

    fn field<V>(
        &self,
        line: u64,
        row: &csv::StringRecord,
        place: usize,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<V>,
    ) -> Result<V, Error> {
        let text = row.get(place).unwrap_or_default();
        parse(text).ok_or_else(|| {
            let (path, column, text) = (self.path.clone(), self.columns[place].clone(), text.to_owned());
            Error::Field { path, line, column, text, expected }
        })
    }
}

/// A target among the features would be predicted from itself.
fn apart(features: &[&str], targets: &[&str]) -> Result<(), Error> {
    match targets.iter().find(|target| features.contains(target)) {
        Some(both) => Err(Error::config(format!("column {both:?}"), "it is both a feature and a target; see columns_except")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use autograd::tensor;

    use super::*;

    fn table(text: &str) -> Result<Table, Error> {
        Table::parse(text, "t.csv")
    }

    #[test]
    fn columns_are_found_by_name_in_any_order() {
        let data =
            table("\u{feff}b, label ,\"a\"\r\n1.5,2,-3e2\r\n\"4\", 0 ,5").unwrap().classification::<f64>(&["a", "b"], "label").unwrap();
        assert_eq!(data.features(), &tensor![[-300.0, 1.5], [5.0, 4.0]]);
        assert_eq!(data.targets().as_slice(), [2, 0]);
    }

    #[test]
    fn the_other_columns() {
        let table = table("a,label,b\n1,0,2\n").unwrap();
        assert_eq!(table.columns_except(&["label"]).unwrap(), ["a", "b"]);
        assert!(matches!(table.columns_except(&["lable"]), Err(Error::MissingColumn { column, .. }) if column == "lable"));
    }

    #[test]
    fn a_target_among_the_features_is_refused() {
        let table = table("a,label\n1,0\n").unwrap();
        let message = table.classification::<f64>(&["a", "label"], "label").unwrap_err().to_string();
        assert_eq!(message, "column \"label\": it is both a feature and a target; see columns_except");
        assert!(table.regression::<f64>(&["a"], &["label", "a"]).is_err());
    }

    #[test]
    fn numbers_must_be_finite_in_the_element_type() {
        let table = table("a\n1e39\n").unwrap();
        assert!(table.numbers::<f64>(&["a"]).is_ok());
        let message = table.numbers::<f32>(&["a"]).unwrap_err().to_string();
        assert_eq!(message, r#"t.csv, line 2, column "a": "1e39" is not a finite number"#);
    }

    #[test]
    fn long_text_is_cut_in_messages() {
        let message = table(&format!("a\n{}\n", "é".repeat(500))).unwrap().numbers::<f64>(&["a"]).unwrap_err().to_string();
        assert_eq!(message, format!("t.csv, line 2, column \"a\": \"{}…\" is not a finite number", "é".repeat(60)));
    }

    #[test]
    fn errors_say_where_and_what() {
        let numbers = |text: &str| table(text).and_then(|t| t.numbers::<f64>(&["a", "b"])).unwrap_err().to_string();
        assert_eq!(numbers("a,b\n1,2\n\n3,x\n"), r#"t.csv, line 4, column "b": "x" is not a finite number"#);
        assert_eq!(numbers("a,b\n1,\n"), r#"t.csv, line 2, column "b": "" is not a finite number"#);
        assert_eq!(numbers("a,b\nNaN,1\n"), r#"t.csv, line 2, column "a": "NaN" is not a finite number"#);
        assert_eq!(numbers("a,c\n1,2\n"), r#"t.csv: there is no column "b"; there are "a", "c""#);
        assert_eq!(numbers("a,b\n1,2\n3\n"), "t.csv, line 3: the row has 1 fields, but the header has 2");
        assert_eq!(numbers("a,b\n1,2,3\n"), "t.csv, line 2: the row has 3 fields, but the header has 2");
        assert_eq!(numbers("a,a\n1,2\n"), r#"t.csv, line 1: two columns are named "a""#);
        assert_eq!(numbers("a,b\n"), "t.csv: there are no rows of data");
        assert_eq!(numbers(""), "t.csv: there are no rows of data");
        for label in ["-1", "1.5", "cat"] {
            let message = table(&format!("a,label\n1,{label}\n")).unwrap().classes("label").unwrap_err().to_string();
            assert_eq!(message, format!("t.csv, line 2, column \"label\": {label:?} is not a class (a whole number: 0, 1, 2, …)"));
        }
    }

    #[test]
    fn text_in_another_encoding_is_an_error_with_its_line() {
        let error = Table::parse(b"a,b\n1,2\n\n3,\xe9\n", "t.csv").unwrap_err();
        assert!(error.to_string().starts_with("t.csv, line 4: invalid utf-8"), "{error}");
    }

    #[test]
    fn a_file_that_is_not_there() {
        let error = Table::read("no/such/file.csv").unwrap_err();
        assert!(error.to_string().starts_with("no/such/file.csv: "), "{error}");
    }
}
