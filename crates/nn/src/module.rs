//! Models: what has parameters, under names in a fixed order, and what maps one variable to another.

use std::fmt;

use autograd::{Error, ErrorKind, Graph, Real, Var};

use crate::parameter::Parameter;

/// Something with parameters: a layer, a model, a list of layers.
///
/// Names are joined with dots, as in PyTorch: `layers.0.weight`. Their order is that in which the fields are listed, and never changes.
/// For a struct, [`parameters!`](crate::parameters) writes the implementation.
pub trait Parameters<T: Real> {
    /// Shows each parameter, with its name, to `f`. All names begin with `name`.
    fn visit<'a>(&'a self, name: &Name<'_>, f: &mut dyn FnMut(&Name<'_>, &'a Parameter<T>));

    /// As [`visit`](Parameters::visit), in the same order, for changing them.
    fn visit_mut<'a>(&'a mut self, name: &Name<'_>, f: &mut dyn FnMut(&Name<'_>, &'a mut Parameter<T>));

    /// All parameters with their names.
    ///
    /// ```
    /// use nn::{Activation, Init, Mlp, Parameters};
    /// use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
    /// let mut rng = ChaCha8Rng::seed_from_u64(0);
    /// let model = Mlp::<f32>::new(&[2, 3, 1], &[Activation::Tanh, Activation::Identity], Init::XavierUniform, &mut rng)?;
    /// let names: Vec<_> = model.named_parameters().into_iter().map(|(name, _)| name).collect();
    /// assert_eq!(names, ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"]);
    /// # Ok::<(), nn::Error>(())
    /// ```
    fn named_parameters(&self) -> Vec<(String, &Parameter<T>)> {
        let mut all = Vec::new();
        self.visit(&Name::ROOT, &mut |name, parameter| all.push((name.to_string(), parameter)));
        all
    }

    /// The variables of all parameters on a graph, in the order of [`named_parameters`](Parameters::named_parameters).
    #[track_caller]
    fn bind_all<'g>(&self, graph: &'g Graph<T>) -> Vec<Var<'g, T>> {
        self.named_parameters().into_iter().map(|(_, parameter)| parameter.bind(graph)).collect()
    }

    /// Names the variables of all parameters on a graph: `layers.0.weight`. In a [trace](autograd::Var::trace) they are called so then, and what
    /// belongs to a layer is grouped. Before or after the model has run on the graph; a model that is not named pays nothing.
    ///
    /// ```
    /// use autograd::{Graph, tensor};
    /// use nn::{Activation, Init, Mlp, Module, Parameters};
    /// use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
    /// let mut rng = ChaCha8Rng::seed_from_u64(0);
    /// let model = Mlp::<f64>::new(&[2, 3, 1], &[Activation::Tanh, Activation::Identity], Init::XavierUniform, &mut rng)?;
    /// let g = Graph::new();
    /// let loss = model.forward(g.constant(tensor![[1.0, 2.0]])).square().sum();
    /// model.name_on(&g);
    /// let trace = loss.trace()?;
    /// let weight = trace.node("layers.1.weight").unwrap();
    /// assert_eq!((weight.group.as_deref(), &weight.value.shape), (Some("layers.1"), &vec![1, 3]));
    /// # Ok::<(), nn::Error>(())
    /// ```
    #[track_caller]
    fn name_on(&self, graph: &Graph<T>) {
        self.visit(&Name::ROOT, &mut |name, parameter| {
            let _ = parameter.bind(graph).named(&name.to_string());
        });
    }

    /// Runs a computation in which variables stand for the parameters, in the order of [`bind_all`](Parameters::bind_all): so a model is
    /// evaluated, and differentiated, at other parameters than its own, such as those after a step of descent.
    ///
    /// ```
    /// use autograd::{Graph, tensor};
    /// use nn::{Linear, Module, Parameters};
    /// let model = Linear::from_tensors(tensor![[1.0, 2.0]], Some(tensor![0.5]))?;
    /// let g = Graph::<f64>::new();
    /// let (x, w) = (g.constant(tensor![[1.0, 1.0]]), model.bind_all(&g));
    /// let slopes = g.grad(model.forward(x).square().sum(), &w);
    /// let after: Vec<_> = w.iter().zip(&slopes).map(|(w, slope)| *w - *slope * 0.1).collect();
    /// let y = model.bound_as(&after, || model.forward(x))?;
    /// assert!((y.item()? - 1.4).abs() < 1e-12);
    /// # Ok::<(), nn::Error>(())
    /// ```
    ///
    /// # Errors
    /// Another number of variables than there are parameters; a variable of another graph. Nothing is run then.
    #[track_caller]
    fn bound_as<'g, R>(&self, variables: &[Var<'g, T>], computation: impl FnOnce() -> R) -> Result<R, Error>
    where
        Self: Sized,
    {
        let named = self.named_parameters();
        if named.len() != variables.len() {
            let why = format!("{} variables cannot stand for the {} parameters of a model", variables.len(), named.len());
            return Err(Error::from(ErrorKind::Refused { why }).in_op("bound_as", Vec::new));
        }
        let Some(first) = variables.first() else { return Ok(computation()) };
        let bindings = named.iter().zip(variables).map(|((_, parameter), variable)| (parameter.id(), *variable));
        first.graph().bound_as(bindings, computation)
    }

    /// How many numbers are learned.
    fn parameter_count(&self) -> usize {
        let mut count = 0;
        self.visit(&Name::ROOT, &mut |_, parameter| count += parameter.value().len());
        count
    }
}

/// A layer or model with one input.
///
/// A model with more inputs is a plain struct with a `forward` of its own; see [`parameters!`](crate::parameters).
///
/// ```
/// use autograd::{Graph, Real, Tensor, Var};
/// use nn::{Activation, Init, Module, Perceptron};
/// use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
///
/// /// A layer that adds its input to its output (He et al. 2016).
/// struct Residual<T: Real> {
///     inner: Perceptron<T>,
/// }
/// nn::parameters!(Residual<T> { inner });
/// impl<T: Real> Module<T> for Residual<T> {
///     fn forward<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
///         x + self.inner.forward(x)
///     }
/// }
///
/// let inner = Perceptron::new(3, 3, Activation::Relu, Init::Zeros, &mut ChaCha8Rng::seed_from_u64(0))?;
/// let g = Graph::<f64>::new();
/// let x = Tensor::ones([2, 3])?;
/// assert_eq!(Residual { inner }.forward(g.constant(&x)).value()?, x);
/// # Ok::<(), nn::Error>(())
/// ```
pub trait Module<T: Real>: Parameters<T> {
    /// The output for the input `x`, on the graph of `x`.
    ///
    /// What cannot be done, such as for an input of the wrong shape, is an error in the result, with the line of the caller.
    #[track_caller]
    fn forward<'g>(&self, x: Var<'g, T>) -> Var<'g, T>;
}

/// The name of a parameter while a model is visited: `layers.0.weight`. It becomes text only where somebody asks for it, which in a step of
/// training nobody does.
///
/// ```
/// use nn::module::Name;
/// let layers = Name::ROOT.field("layers");
/// assert_eq!(layers.place(0).field("weight").to_string(), "layers.0.weight");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Name<'n> {
    parent: Option<&'n Name<'n>>,
    last: Segment<'n>,
}

#[derive(Debug, Clone, Copy)]
enum Segment<'n> {
    Root,
    Field(&'n str),
    Place(usize),
}

impl Name<'static> {
    /// The name of the model itself, which is empty.
    pub const ROOT: Name<'static> = Name { parent: None, last: Segment::Root };
}

impl<'n> Name<'n> {
    /// The name of a field.
    #[must_use]
    pub fn field(&'n self, field: &'n str) -> Name<'n> {
        Name { parent: Some(self), last: Segment::Field(field) }
    }

    /// The name of an item of a list.
    #[must_use]
    pub fn place(&'n self, place: usize) -> Name<'n> {
        Name { parent: Some(self), last: Segment::Place(place) }
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent
            && !matches!(parent.last, Segment::Root)
        {
            write!(f, "{parent}.")?;
        }
        match self.last {
            Segment::Root => Ok(()),
            Segment::Field(field) => f.write_str(field),
            Segment::Place(place) => write!(f, "{place}"),
        }
    }
}

impl<T: Real> Parameters<T> for Parameter<T> {
    fn visit<'a>(&'a self, name: &Name<'_>, f: &mut dyn FnMut(&Name<'_>, &'a Parameter<T>)) {
        f(name, self);
    }
    fn visit_mut<'a>(&'a mut self, name: &Name<'_>, f: &mut dyn FnMut(&Name<'_>, &'a mut Parameter<T>)) {
        f(name, self);
    }
}

/// Named by position, from 0.
impl<T: Real, P: Parameters<T>> Parameters<T> for [P] {
    fn visit<'a>(&'a self, name: &Name<'_>, f: &mut dyn FnMut(&Name<'_>, &'a Parameter<T>)) {
        for (i, item) in self.iter().enumerate() {
            item.visit(&name.place(i), f);
        }
    }
    fn visit_mut<'a>(&'a mut self, name: &Name<'_>, f: &mut dyn FnMut(&Name<'_>, &'a mut Parameter<T>)) {
        for (i, item) in self.iter_mut().enumerate() {
            item.visit_mut(&name.place(i), f);
        }
    }
}

/// Named by position, from 0.
impl<T: Real, P: Parameters<T>> Parameters<T> for Vec<P> {
    fn visit<'a>(&'a self, name: &Name<'_>, f: &mut dyn FnMut(&Name<'_>, &'a Parameter<T>)) {
        self.as_slice().visit(name, f);
    }
    fn visit_mut<'a>(&'a mut self, name: &Name<'_>, f: &mut dyn FnMut(&Name<'_>, &'a mut Parameter<T>)) {
        self.as_mut_slice().visit_mut(name, f);
    }
}

/// What is there is named as if there were no option.
impl<T: Real, P: Parameters<T>> Parameters<T> for Option<P> {
    fn visit<'a>(&'a self, name: &Name<'_>, f: &mut dyn FnMut(&Name<'_>, &'a Parameter<T>)) {
        if let Some(inner) = self {
            inner.visit(name, f);
        }
    }
    fn visit_mut<'a>(&'a mut self, name: &Name<'_>, f: &mut dyn FnMut(&Name<'_>, &'a mut Parameter<T>)) {
        if let Some(inner) = self {
            inner.visit_mut(name, f);
        }
    }
}

impl<T: Real, P: Parameters<T> + ?Sized> Parameters<T> for Box<P> {
    fn visit<'a>(&'a self, name: &Name<'_>, f: &mut dyn FnMut(&Name<'_>, &'a Parameter<T>)) {
        (**self).visit(name, f);
    }
    fn visit_mut<'a>(&'a mut self, name: &Name<'_>, f: &mut dyn FnMut(&Name<'_>, &'a mut Parameter<T>)) {
        (**self).visit_mut(name, f);
    }
}

/// Implements [`Parameters`] for a struct: `parameters!(Model<T> { fields that are learned; other fields });`
///
/// Every field must be named, those that are not learned after a semicolon, so that a layer cannot be forgotten: it would not compile.
/// A struct for one element type is written `parameters!(Model: f64 { … });`.
///
/// A model with two inputs, which therefore is not a [`Module`]: a plain struct, with a `forward` of its own.
///
/// ```
/// use autograd::{Graph, Real, Var, tensor};
/// use nn::{Init, Linear, Module, Parameters};
/// use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
///
/// /// How well two vectors match: −|A x − B y|².
/// struct Match<T: Real> {
///     left: Linear<T>,
///     right: Linear<T>,
///     sharpness: f64,
/// }
/// nn::parameters!(Match<T> { left, right; sharpness });
///
/// impl<T: Real> Match<T> {
///     fn forward<'g>(&self, x: Var<'g, T>, y: Var<'g, T>) -> Var<'g, T> {
///         (self.left.forward(x) - self.right.forward(y)).square().sum_axes([-1], false) * -self.sharpness
///     }
/// }
///
/// let mut rng = ChaCha8Rng::seed_from_u64(0);
/// let (left, right) = (Linear::new(2, 5, Init::XavierNormal, &mut rng)?, Linear::new(3, 5, Init::XavierNormal, &mut rng)?);
/// let model = Match { left, right, sharpness: 0.5 };
/// assert_eq!(model.parameter_count(), (2 * 5 + 5) + (3 * 5 + 5));
///
/// let g = Graph::<f64>::new();
/// let score = model.forward(g.constant(tensor![[1.0, 2.0]]), g.constant(tensor![[0.1, 0.2, 0.3]]));
/// let grads = score.sum().backward()?;
/// assert!(model.named_parameters().iter().all(|(_, p)| p.grad(&grads).is_some()));
/// # Ok::<(), nn::Error>(())
/// ```
#[macro_export]
macro_rules! parameters {
    ($Model:ident<$T:ident> { $($field:ident),* $(,)? $(; $($other:ident),* $(,)?)? }) => {
        impl<$T: $crate::autograd::Real> $crate::Parameters<$T> for $Model<$T> {
            $crate::parameters!(@methods $T { $($field),*; $($($other),*)? });
        }
    };
    ($Model:ident: $T:ty { $($field:ident),* $(,)? $(; $($other:ident),* $(,)?)? }) => {
        impl $crate::Parameters<$T> for $Model {
            $crate::parameters!(@methods $T { $($field),*; $($($other),*)? });
        }
    };
    (@methods $T:ty { $($field:ident),*; $($other:ident),* }) => {
        fn visit<'a>(&'a self, name: &$crate::module::Name<'_>, f: &mut dyn FnMut(&$crate::module::Name<'_>, &'a $crate::Parameter<$T>)) {
            let Self { $($field,)* $($other: _),* } = self;
            $( $crate::Parameters::visit($field, &name.field(stringify!($field)), f); )*
            let _ = (name, f);
        }
        fn visit_mut<'a>(&'a mut self, name: &$crate::module::Name<'_>, f: &mut dyn FnMut(&$crate::module::Name<'_>, &'a mut $crate::Parameter<$T>)) {
            let Self { $($field,)* $($other: _),* } = self;
            $( $crate::Parameters::visit_mut($field, &name.field(stringify!($field)), f); )*
            let _ = (name, f);
        }
    };
}

#[cfg(test)]
mod tests {
    use autograd::tensor;

    use super::*;

    struct Inner<T: Real> {
        a: Parameter<T>,
        b: Option<Parameter<T>>,
    }
    crate::parameters!(Inner<T> { a, b });

    struct Outer {
        many: Vec<Inner<f64>>,
        boxed: Box<dyn Parameters<f64>>,
        last: Parameter<f64>,
        #[allow(dead_code)]
        note: &'static str,
    }
    crate::parameters!(Outer: f64 { many, boxed, last; note });

    fn outer() -> Outer {
        let p = |v: f64| Parameter::new(tensor![v]);
        let many = vec![Inner { a: p(1.0), b: Some(p(2.0)) }, Inner { a: p(3.0), b: None }];
        Outer { many, boxed: Box::new(Inner { a: p(4.0), b: None }), last: p(5.0), note: "" }
    }

    #[test]
    fn names_are_paths_in_the_order_of_the_fields() {
        let model = outer();
        let named: Vec<_> = model.named_parameters().into_iter().map(|(n, p)| (n, p.value().item().unwrap())).collect();
        let expected = [("many.0.a", 1.0), ("many.0.b", 2.0), ("many.1.a", 3.0), ("boxed.a", 4.0), ("last", 5.0)];
        assert_eq!(named, expected.map(|(n, v)| (n.to_owned(), v)));
        assert_eq!(model.parameter_count(), 5);
    }

    #[test]
    fn both_visits_show_the_same_in_the_same_order() {
        let mut model = outer();
        let names: Vec<_> = model.named_parameters().into_iter().map(|(n, _)| n).collect();
        let mut names_mut = Vec::new();
        model.visit_mut(&Name::ROOT, &mut |name, p| {
            p.set(tensor![0.0]).unwrap();
            names_mut.push(name.to_string());
        });
        assert_eq!(names, names_mut);
        assert!(model.named_parameters().iter().all(|(_, p)| p.value() == &tensor![0.0]));
    }
}
