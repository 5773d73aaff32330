//! Files that come back bit for bit, and files that must not be loaded.

use autograd::{Tensor, tensor};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::*;
use crate::{Activation, Init, Linear, Mlp, Parameter, module::Name};

/// A directory of its own for each test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("nn-checkpoint-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
    fn file(&self) -> PathBuf {
        self.0.join("model.safetensors")
    }
    fn names(&self) -> Vec<String> {
        fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mlp<T: Real>(sizes: &[usize], seed: u64) -> Mlp<T> {
    let activations = vec![Activation::Relu; sizes.len() - 1];
    Mlp::new(sizes, &activations, Init::he_normal(), &mut ChaCha8Rng::seed_from_u64(seed)).unwrap()
}

fn bits<T: Real, M: Parameters<T>>(model: &M) -> Vec<Vec<u64>> {
    model.named_parameters().iter().map(|(_, p)| p.value().as_slice().iter().map(|v| v.to_f64().to_bits()).collect()).collect()
}

#[test]
fn everything_comes_back_bit_for_bit() {
    let folder = Folder::new("bits");
    let special = [0.0f32, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE / 8.0, f32::from_bits(0x7fc0_1234), 1.0 / 3.0];
    let model = Parameter::new(Tensor::new(special.to_vec(), [7]).unwrap());
    // A parameter alone has no name; safetensors allows the empty one.
    save(&model, folder.file()).unwrap();
    let mut back = Parameter::new(Tensor::<f32>::zeros([7]).unwrap());
    load(&mut back, folder.file()).unwrap();
    let raw = |p: &Parameter<f32>| p.value().as_slice().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(raw(&back), raw(&model));

    let model = mlp::<f64>(&[5, 4, 3], 1);
    save(&model, folder.file()).unwrap();
    let mut back = mlp::<f64>(&[5, 4, 3], 2);
    load(&mut back, folder.file()).unwrap();
    assert_eq!(bits(&back), bits(&model));
}

#[test]
fn names_shapes_and_types_in_the_file_are_those_of_pytorch() {
    let folder = Folder::new("names");
    save(&mlp::<f32>(&[4, 3, 2], 1), folder.file()).unwrap();
    let bytes = fs::read(folder.file()).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut entries: Vec<_> = file.tensors().into_iter().map(|(n, v)| (n, v.dtype(), v.shape().to_vec())).collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    let expected =
        [("layers.0.bias", vec![3]), ("layers.0.weight", vec![3, 4]), ("layers.1.bias", vec![2]), ("layers.1.weight", vec![2, 3])];
    assert_eq!(entries, expected.map(|(n, s)| (n.to_owned(), Dtype::F32, s)));
}

#[test]
fn a_file_cut_at_any_byte_is_damaged() {
    let folder = Folder::new("cut");
    save(&mlp::<f32>(&[3, 2], 1), folder.file()).unwrap();
    let whole = fs::read(folder.file()).unwrap();
    let mut model = mlp::<f32>(&[3, 2], 2);
    let before = bits(&model);
    for length in 0..whole.len() {
        fs::write(folder.file(), &whole[..length]).unwrap();
        let error = load(&mut model, folder.file()).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{length} bytes: {error}");
    }
    fs::write(folder.file(), [&whole[..], &[0]].concat()).unwrap();
    assert!(matches!(load(&mut model, folder.file()), Err(Error::Damaged { .. })));
    assert_eq!(bits(&model), before);
}

#[test]
fn a_damaged_header_never_loads_other_shapes_or_panics() {
    let folder = Folder::new("header");
    save(&mlp::<f32>(&[3, 2], 1), folder.file()).unwrap();
    let whole = fs::read(folder.file()).unwrap();
    let header = 8 + usize::try_from(u64::from_le_bytes(whole[..8].try_into().unwrap())).unwrap();
    let mut model = mlp::<f32>(&[3, 2], 2);
    let before = bits(&model);
    for at in 0..header {
        for flipped in [0x01, 0x20, 0x80] {
            let mut damaged = whole.clone();
            damaged[at] ^= flipped;
            // A change in the spaces or in the metadata does no harm; any other must be refused.
            if from_bytes(&model, &damaged, &folder.file()).is_err() {
                fs::write(folder.file(), &damaged).unwrap();
                assert!(load(&mut model, folder.file()).is_err());
                assert_eq!(bits(&model), before);
            } else {
                let text = String::from_utf8_lossy(&whole[..header]);
                let metadata = text.find("layers").unwrap();
                assert!(at < metadata || whole[at] == b' ', "byte {at}");
            }
        }
    }
}

#[test]
fn what_is_no_safetensors_file() {
    let folder = Folder::new("other");
    let mut model = mlp::<f32>(&[3, 2], 2);
    for text in ["", "p0,p1,label\n1,2,3\n", "{\"layers\": []}", "\u{89}PNG and so on and so on"] {
        fs::write(folder.file(), text).unwrap();
        let error = load(&mut model, folder.file()).unwrap_err();
        assert!(error.to_string().contains("damaged or not a safetensors file"), "{error}");
    }
    let error = load(&mut model, folder.0.join("nothing")).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("nothing: "), "{error}");
}

#[test]
fn a_file_of_another_model_is_refused_and_changes_nothing() {
    let folder = Folder::new("mismatch");
    save(&mlp::<f32>(&[4, 3, 2], 1), folder.file()).unwrap();
    let path = folder.file();
    let shown = path.display();

    // The first layer fits; it must not be loaded.
    let mut model = mlp::<f32>(&[4, 3, 5], 2);
    let before = bits(&model);
    let message = load(&mut model, &path).unwrap_err().to_string();
    assert_eq!(message, format!("{shown}: \"layers.1.weight\" has shape [2, 3] in the file, but [5, 3] in the model"));
    assert_eq!(bits(&model), before);

    let mut model = mlp::<f32>(&[4, 3, 2, 2], 2);
    let before = bits(&model);
    let message = load(&mut model, &path).unwrap_err().to_string();
    let start = format!("{shown}: the file lacks \"layers.2.weight\", \"layers.2.bias\" of the model; it holds \"layers.0.bias\", ");
    assert!(message.starts_with(&start), "{message}");
    assert_eq!(bits(&model), before);

    let mut model = mlp::<f32>(&[4, 3], 2);
    let before = bits(&model);
    let message = load(&mut model, &path).unwrap_err().to_string();
    assert_eq!(message, format!("{shown}: the file holds \"layers.1.bias\", \"layers.1.weight\", which the model does not have"));
    assert_eq!(bits(&model), before);

    save(&mlp::<f64>(&[4, 3, 2], 1), &path).unwrap();
    let message = load(&mut mlp::<f32>(&[4, 3, 2], 2), &path).unwrap_err().to_string();
    let advice = "load it into a model of f64, or save it as f32";
    assert_eq!(message, format!("{shown}: \"layers.0.weight\" is f64 in the file, but the model is f32; {advice}"));

    let view = TensorView::new(Dtype::F16, vec![1], &[0, 0]).unwrap();
    fs::write(&path, safetensors::serialize([("", view)], None).unwrap()).unwrap();
    let message = load(&mut Parameter::new(tensor![1.0f32]), &path).unwrap_err().to_string();
    assert!(message.ends_with("; only f32 and f64 can be loaded, so convert the file to one of them"), "{message}");
}

#[test]
fn a_file_of_f32_loads_into_a_model_of_f64() {
    let folder = Folder::new("widen");
    let model = mlp::<f32>(&[4, 3, 2], 1);
    save(&model, folder.file()).unwrap();
    let mut wide = mlp::<f64>(&[4, 3, 2], 2);
    load(&mut wide, folder.file()).unwrap();
    assert_eq!(bits(&wide), bits(&model));
}

#[test]
fn the_reserved_name_is_refused() {
    struct Odd(Parameter<f64>);
    impl Parameters<f64> for Odd {
        fn visit<'a>(&'a self, _: &Name<'_>, f: &mut dyn FnMut(&Name<'_>, &'a Parameter<f64>)) {
            self.0.visit(&Name::ROOT.field("__metadata__"), f);
        }
        fn visit_mut<'a>(&'a mut self, _: &Name<'_>, f: &mut dyn FnMut(&Name<'_>, &'a mut Parameter<f64>)) {
            self.0.visit_mut(&Name::ROOT.field("__metadata__"), f);
        }
    }
    let folder = Folder::new("reserved");
    assert!(matches!(save(&Odd(Parameter::new(tensor![1.0])), folder.file()), Err(Error::Config { .. })));
    assert!(folder.names().is_empty());
}

#[test]
fn leftovers_do_not_block_saving() {
    let folder = Folder::new("leftovers");
    // The counter is shared with the other tests, so several numbers are taken.
    let left = |n: usize| folder.0.join(format!("model.safetensors.{}-{n}.tmp", std::process::id()));
    (0..300).for_each(|n| fs::write(left(n), "x").unwrap());
    save(&mlp::<f32>(&[3, 2], 1), folder.file()).unwrap();
    load(&mut mlp::<f32>(&[3, 2], 2), folder.file()).unwrap();
    assert_eq!(folder.names().len(), 301);
}

#[cfg(unix)]
#[test]
fn permissions_are_kept() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("permissions");
    let model = mlp::<f32>(&[3, 2], 1);
    save(&model, folder.file()).unwrap();
    fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o640)).unwrap();
    save(&model, folder.file()).unwrap();
    assert_eq!(fs::metadata(folder.file()).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn saving_replaces_whole_files_and_leaves_no_others() {
    let folder = Folder::new("replace");
    save(&mlp::<f32>(&[4, 3, 2], 1), folder.file()).unwrap();
    save(&mlp::<f32>(&[3, 2], 5), folder.file()).unwrap();
    let mut back = mlp::<f32>(&[3, 2], 2);
    load(&mut back, folder.file()).unwrap();
    assert_eq!(bits(&back), bits(&mlp::<f32>(&[3, 2], 5)));
    assert_eq!(folder.names(), ["model.safetensors"]);

    // A directory is in the way: the move fails, and what was written for it is removed.
    let taken = folder.0.join("taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("inside"), "x").unwrap();
    let error = save(&back, &taken).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    let mut names = folder.names();
    names.sort();
    assert_eq!(names, ["model.safetensors", "taken"]);
    assert!(save(&back, folder.0.join("no/such/folder/file")).is_err());
}

#[test]
fn two_parameters_of_one_name_are_refused() {
    struct Twice(Linear<f64>);
    impl Parameters<f64> for Twice {
        fn visit<'a>(&'a self, name: &Name<'_>, f: &mut dyn FnMut(&Name<'_>, &'a Parameter<f64>)) {
            self.0.visit(name, f);
            self.0.visit(name, f);
        }
        fn visit_mut<'a>(&'a mut self, name: &Name<'_>, f: &mut dyn FnMut(&Name<'_>, &'a mut Parameter<f64>)) {
            self.0.visit_mut(name, f);
        }
    }
    let folder = Folder::new("twice");
    let model = Twice(Linear::from_tensors(tensor![[1.0]], None).unwrap());
    let message = save(&model, folder.file()).unwrap_err().to_string();
    assert_eq!(message, "two parameters of the model are named \"weight\"; names must differ");
    assert!(folder.names().is_empty());
}
