//! Checkpoints: weights saved to and loaded from safetensors files, under the names that PyTorch uses.

use std::{
    any::Any,
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use autograd::{Real, Tensor};
use safetensors::{
    SafeTensors,
    tensor::{Dtype, TensorView},
};

use crate::{
    error::Error,
    module::{Name, Parameters},
};

/// Saves all parameters of a model in a [safetensors](https://github.com/huggingface/safetensors) file.
///
/// The file is written beside its final place and moved there when it is complete: whatever happens, an older file is either still there or
/// wholly replaced. In Python, `safetensors.torch.load_file` reads it; the names and shapes are those of the same layers in PyTorch.
///
/// ```
/// use nn::{Activation, Init, Mlp, Parameters, checkpoint};
/// use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
/// let mut rng = ChaCha8Rng::seed_from_u64(0);
/// let model = Mlp::<f32>::new(&[4, 3], &[Activation::Tanh], Init::XavierNormal, &mut rng)?;
/// let path = std::env::temp_dir().join(format!("doc-checkpoint-{}.safetensors", std::process::id()));
/// checkpoint::save(&model, &path)?;
///
/// let mut copy = Mlp::<f32>::new(&[4, 3], &[Activation::Tanh], Init::Zeros, &mut rng)?;
/// checkpoint::load(&mut copy, &path)?;
/// assert_eq!(copy.layers[0].linear.weight.value(), model.layers[0].linear.weight.value());
/// # std::fs::remove_file(&path).unwrap();
/// # Ok::<(), nn::Error>(())
/// ```
///
/// An older file's permissions are kept.
///
/// # Errors
/// [`Error::Io`] when the file cannot be written; [`Error::DuplicateParameter`] when the model has two parameters of one name;
/// [`Error::Config`] when one is named `__metadata__`, which is reserved in such files.
pub fn save<T: Real, M: Parameters<T> + ?Sized>(model: &M, path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref();
    let bytes = to_bytes(model, path)?;
    replace(path, &bytes).map_err(|cause| Error::Io { path: path.to_owned(), cause })
}

/// Gives all parameters of a model the values in a safetensors file.
///
/// Names, shapes and types are verified before anything is changed: a model is never half loaded. The format has no checksum, so that flipped
/// bits in the numbers themselves go unnoticed. A file of f32 loads into a model of f64, since every f32 is an f64; the other way numbers
/// would be rounded, and that is refused.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read, [`Error::Damaged`] when it is incomplete or not a safetensors file, and when it holds other
/// parameters than the model: [`Error::MissingParameters`], [`Error::UnexpectedParameters`], [`Error::ShapeMismatch`],
/// [`Error::DtypeMismatch`].
pub fn load<T: Real, M: Parameters<T> + ?Sized>(model: &mut M, path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref();
    let bytes = fs::read(path).map_err(|cause| Error::Io { path: path.to_owned(), cause })?;
    let mut values = from_bytes(model, &bytes, path)?;
    let mut failed = None;
    model.visit_mut(&Name::ROOT, &mut |name, parameter| {
        if let Some(value) = values.remove(&name.to_string()) {
            failed = parameter.set(value).err().or(failed.take());
        }
    });
    failed.map_or(Ok(()), Err)
}

/// The name under which a file holds what is not a tensor.
const RESERVED: &str = "__metadata__";

fn to_bytes<T: Real, M: Parameters<T> + ?Sized>(model: &M, path: &Path) -> Result<Vec<u8>, Error> {
    let mut data = BTreeMap::new();
    for (name, parameter) in model.named_parameters() {
        if name == RESERVED {
            return Err(Error::config(format!("parameter {name:?}"), "safetensors files use this name for notes; give it another"));
        }
        let entry = (parameter.value().shape().to_vec(), little_endian(parameter.value()));
        if data.insert(name.clone(), entry).is_some() {
            return Err(Error::DuplicateParameter { name });
        }
    }
    let refused = |why: safetensors::SafeTensorError| Error::Io { path: path.to_owned(), cause: io::Error::other(why) };
    let views = data.iter().map(|(name, (shape, bytes))| Ok((name, TensorView::new(dtype::<T>(), shape.clone(), bytes).map_err(refused)?)));
    let views = views.collect::<Result<Vec<_>, Error>>()?;
    // Programs in Python take this as "written for PyTorch".
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(views, Some(metadata)).map_err(refused)
}

/// The values for all parameters of the model, if the file holds them and nothing else.
fn from_bytes<T: Real, M: Parameters<T> + ?Sized>(model: &M, bytes: &[u8], path: &Path) -> Result<HashMap<String, Tensor<T>>, Error> {
    let path = || path.to_owned();
    let file = SafeTensors::deserialize(bytes).map_err(|why| Error::Damaged { path: path(), why: why.to_string() })?;
    let mut held: BTreeMap<String, TensorView<'_>> = file.tensors().into_iter().collect();
    let available: Vec<String> = held.keys().cloned().collect();

    let (mut values, mut missing) = (HashMap::new(), Vec::new());
    for (name, parameter) in model.named_parameters() {
        if values.contains_key(&name) {
            return Err(Error::DuplicateParameter { name });
        }
        let Some(view) = held.remove(&name) else {
            missing.push(name);
            continue;
        };
        if view.dtype() != dtype::<T>() && (view.dtype(), dtype::<T>()) != (Dtype::F32, Dtype::F64) {
            return Err(Error::DtypeMismatch { path: path(), name, file: view.dtype().to_string().to_lowercase(), model: T::NAME });
        }
        let model = parameter.value().shape();
        if *model != *view.shape() {
            return Err(Error::ShapeMismatch { path: path(), name, file: view.shape().to_vec(), model: model.to_vec() });
        }
        values.insert(name, tensor_of(view.data(), view.dtype(), view.shape())?);
    }
    if !missing.is_empty() {
        return Err(Error::MissingParameters { path: path(), names: missing, available });
    }
    if !held.is_empty() {
        return Err(Error::UnexpectedParameters { path: path(), names: held.into_keys().collect() });
    }
    Ok(values)
}

/// Writes a file beside `path`, and moves it there once it is safely stored.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "this is no path of a file"))?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let (beside, mut file) = loop {
        let mut beside = name.to_owned();
        beside.push(format!(".{}-{}.tmp", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        let beside = directory.join(beside);
        match File::options().write(true).create_new(true).open(&beside) {
            Ok(file) => break (beside, file),
            // Left over from a process with the same number, which was killed.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    };
    let permissions = match fs::metadata(path) {
        Ok(old) if old.is_file() => file.set_permissions(old.permissions()),
        _ => Ok(()),
    };
    let written = permissions.and_then(|()| file.write_all(bytes)).and_then(|()| file.sync_all());
    drop(file); // some systems do not move open files
    let moved = written.and_then(|()| fs::rename(&beside, path));
    if moved.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&beside);
        return moved;
    }
    // The new name has to be stored too. Where directories cannot be synced, the system stores it in its own time.
    #[cfg(unix)]
    File::open(&directory).and_then(|directory| directory.sync_all()).or_else(|error| match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => Ok(()),
        _ => Err(error),
    })?;
    Ok(())
}

fn dtype<T: Real>() -> Dtype {
    if T::NAME == "f32" { Dtype::F32 } else { Dtype::F64 }
}

// `Real` is f32 or f64. Which of them it is, `Any` says, so that every bit goes to the file and comes back, those of NaN too.

fn little_endian<T: Real>(tensor: &Tensor<T>) -> Vec<u8> {
    let tensor: &dyn Any = tensor;
    let single = tensor.downcast_ref::<Tensor<f32>>().map(|t| t.as_slice().iter().flat_map(|v| v.to_le_bytes()).collect());
    let double = || tensor.downcast_ref::<Tensor<f64>>().map(|t| t.as_slice().iter().flat_map(|v| v.to_le_bytes()).collect());
    single.or_else(double).unwrap_or_default()
}

fn tensor_of<T: Real>(bytes: &[u8], dtype: Dtype, shape: &[usize]) -> Result<Tensor<T>, Error> {
    let tensor: Box<dyn Any> = if T::NAME == "f32" {
        let (chunks, _) = bytes.as_chunks();
        Box::new(Tensor::new(chunks.iter().map(|&b| f32::from_le_bytes(b)).collect::<Vec<_>>(), shape)?)
    } else if dtype == Dtype::F32 {
        let (chunks, _) = bytes.as_chunks();
        Box::new(Tensor::new(chunks.iter().map(|&b| f64::from(f32::from_le_bytes(b))).collect::<Vec<_>>(), shape)?)
    } else {
        let (chunks, _) = bytes.as_chunks();
        Box::new(Tensor::new(chunks.iter().map(|&b| f64::from_le_bytes(b)).collect::<Vec<_>>(), shape)?)
    };
    match tensor.downcast::<Tensor<T>>() {
        Ok(tensor) => Ok(*tensor),
        Err(_) => Err(Error::config(T::NAME, "this element type has no form in safetensors files")),
    }
}

#[cfg(test)]
mod tests;
