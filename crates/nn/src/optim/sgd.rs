//! Stochastic gradient descent, with momentum, Nesterov's variant, and weight decay.

use std::{collections::HashMap, fmt};

use autograd::{
    Gradients, LeafId, Real, Tensor, function,
    op::{Handle, pointwise::Pointwise},
};

use crate::{
    error::Error,
    module::{Name, Parameters},
};

/// Stochastic gradient descent, as PyTorch defines it.
///
/// With learning rate η, momentum μ, dampening τ and weight decay λ, for a parameter p with gradient ∇:
///
/// ```text
/// g = ∇ + λp
/// v = g                       in the first step with momentum
/// v = μv + (1 − τ)g           in later ones
/// p = p − ηg                  without momentum
/// p = p − ηv                  with momentum
/// p = p − η(g + μv)           with Nesterov's momentum
/// ```
///
/// I. Sutskever et al., *On the importance of initialization and momentum in deep learning* (2013), describe both kinds of momentum.
///
/// ```
/// use autograd::{Graph, tensor};
/// use nn::{Parameter, Sgd};
/// let mut p = Parameter::new(tensor![1.0, -2.0]);
/// let mut optimizer = Sgd::new(0.1).momentum(0.9);
/// for _ in 0..200 {
///     let g = Graph::<f64>::new();
///     let loss = p.bind(&g).square().sum();
///     optimizer.step(&mut p, &loss.backward()?)?;
/// }
/// assert!(p.value().as_slice().iter().all(|x| x.abs() < 1e-3));
/// # Ok::<(), nn::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Sgd<T: Real> {
    settings: Settings,
    /// The operations of the last step, and the settings that they belong to.
    rule: Option<(Settings, Rule)>,
    /// The velocities v, by the identity of the parameter.
    velocities: HashMap<LeafId, Tensor<T>>,
    /// What the present step will change; empty between two steps.
    updates: Vec<Option<Update<T>>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Settings {
    lr: f64,
    momentum: f64,
    dampening: f64,
    nesterov: bool,
    weight_decay: f64,
}

/// A parameter that a step left as it is, because it has no gradient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untrained {
    /// Its name in the model.
    pub name: String,
    /// Why it has none, such as that it was never bound to the graph, or that all that leads from it to the loss was detached, and where.
    pub why: String,
}

impl fmt::Display for Untrained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.why)
    }
}

/// What a step will change in one parameter.
#[derive(Debug, Clone)]
struct Update<T: Real> {
    value: Tensor<T>,
    velocity: Option<Tensor<T>>,
}

impl<T: Real> Sgd<T> {
    /// Plain descent with this learning rate.
    #[must_use]
    pub fn new(lr: f64) -> Self {
        let settings = Settings { lr, momentum: 0.0, dampening: 0.0, nesterov: false, weight_decay: 0.0 };
        Sgd { settings, rule: None, velocities: HashMap::new(), updates: Vec::new() }
    }

    /// With momentum: each step keeps this fraction of the previous velocity. Usual is 0.9.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.settings.momentum = momentum;
        self
    }

    /// With dampening: new gradients enter the momentum with the factor 1 − dampening.
    #[must_use]
    pub fn dampening(mut self, dampening: f64) -> Self {
        self.settings.dampening = dampening;
        self
    }

    /// With Nesterov's momentum, which looks one step ahead. It needs momentum, and no dampening.
    #[must_use]
    pub fn nesterov(mut self) -> Self {
        self.settings.nesterov = true;
        self
    }

    /// With weight decay: adds this factor times the parameter to its gradient, which is the gradient of ½λ|p|².
    #[must_use]
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.settings.weight_decay = weight_decay;
        self
    }

    /// The learning rate.
    #[must_use]
    pub fn lr(&self) -> f64 {
        self.settings.lr
    }

    /// Changes the learning rate; the momenta stay.
    pub fn set_lr(&mut self, lr: f64) {
        self.settings.lr = lr;
    }

    /// One step: changes every parameter of the model that has a gradient.
    ///
    /// Returns the parameters that have none and were left as they are, momentum included, each with the reason.
    ///
    /// # Errors
    /// [`Error::Config`] for settings that make no sense; [`Error::NoGradients`] if no parameter has a gradient; [`Error::NonFiniteStep`] if
    /// the new value of a parameter would be infinite or NaN. Nothing is changed then.
    pub fn step<M: Parameters<T> + ?Sized>(&mut self, model: &mut M, gradients: &Gradients<T>) -> Result<Vec<Untrained>, Error> {
        let rule = match &self.rule {
            Some((settings, rule)) if *settings == self.settings => rule,
            _ => {
                self.settings.check()?;
                &self.rule.insert((self.settings, Rule::of(self.settings))).1
            }
        };
        // First all new values, then the change, so that an error changes nothing.
        let (velocities, updates) = (&mut self.velocities, &mut self.updates);
        updates.clear();
        let (mut skipped, mut failed) = (Vec::new(), None);
        model.visit(&Name::ROOT, &mut |name, parameter| {
            if failed.is_some() {
                return;
            }
            let Some(gradient) = parameter.grad(gradients) else {
                let why = gradients.why_none(parameter.id()).unwrap_or_default();
                skipped.push(Untrained { name: name.to_string(), why });
                return updates.push(None);
            };
            match rule.update(velocities.get(parameter.id()), parameter.value(), gradient) {
                Ok(update) if update.value.is_finite() => updates.push(Some(update)),
                Ok(_) => failed = Some(Error::NonFiniteStep { name: name.to_string(), at: None }),
                Err(error) => failed = Some(error.into()),
            }
        });
        if failed.is_none() && !updates.is_empty() && updates.iter().all(Option::is_none) {
            let Untrained { name, why } = skipped.swap_remove(0);
            failed = Some(Error::NoGradients { count: updates.len(), name, why });
        }
        if let Some(error) = failed {
            updates.clear();
            return Err(error);
        }
        let mut updates = updates.drain(..);
        let mut failed = None;
        model.visit_mut(&Name::ROOT, &mut |_, parameter| {
            if let Some(Update { value, velocity }) = updates.next().flatten() {
                if let Some(velocity) = velocity {
                    velocities.insert(parameter.id().clone(), velocity);
                }
                failed = parameter.set(value).err().or(failed.take());
            }
        });
        failed.map_or(Ok(skipped), Err)
    }
}

impl Settings {
    fn check(&self) -> Result<(), Error> {
        let at_least_0 = [("lr", self.lr), ("momentum", self.momentum), ("weight_decay", self.weight_decay)];
        if let Some((name, value)) = at_least_0.into_iter().find(|(_, value)| !(value.is_finite() && *value >= 0.0)) {
            return Err(Error::config(format!("{name} = {value}"), "a finite number of at least 0 is needed"));
        }
        if !self.dampening.is_finite() {
            return Err(Error::config(format!("dampening = {}", self.dampening), "a finite number is needed"));
        }
        if self.nesterov && (self.momentum == 0.0 || self.dampening != 0.0) {
            let what = format!("nesterov with momentum = {} and dampening = {}", self.momentum, self.dampening);
            return Err(Error::config(what, "Nesterov's momentum needs momentum above 0 and no dampening"));
        }
        Ok(())
    }
}

/// The operations of a step, made once for all parameters.
#[derive(Debug, Clone)]
struct Rule {
    /// None without momentum.
    accelerate: Option<Handle>,
    /// What the velocity is at the first step.
    start: Handle,
    descend: Handle,
    is_nesterov: bool,
}

impl Rule {
    fn of(Settings { lr, momentum, dampening, nesterov, weight_decay }: Settings) -> Rule {
        let is_accelerated = momentum != 0.0;
        Rule {
            accelerate: is_accelerated.then(|| accelerate(momentum, 1.0 - dampening, weight_decay)),
            start: decayed(weight_decay),
            descend: match (is_accelerated, nesterov) {
                (false, _) => descend(lr, weight_decay),
                (true, false) => descend(lr, 0.0),
                (true, true) => look_ahead(lr, momentum, weight_decay),
            },
            is_nesterov: is_accelerated && nesterov,
        }
    }

    /// The new value and velocity of a parameter `p` with gradient `g`.
    fn update<T: Real>(&self, velocity: Option<&Tensor<T>>, p: &Tensor<T>, g: &Tensor<T>) -> Result<Update<T>, autograd::Error> {
        let Some(accelerate) = &self.accelerate else {
            return Ok(Update { value: self.descend.call(&[p, g])?, velocity: None });
        };
        let velocity = match velocity {
            Some(before) => accelerate.call(&[before, p, g])?,
            None => self.start.call(&[p, g])?,
        };
        let value = if self.is_nesterov { self.descend.call(&[p, g, &velocity])? } else { self.descend.call(&[p, &velocity])? };
        Ok(Update { value, velocity: Some(velocity) })
    }
}

// Each update is one pass over memory; none of these functions is generic, so that the kernels are compiled here.

/// p − η(g + λp)
#[inline(never)]
fn descend(lr: f64, decay: f64) -> Handle {
    Handle::new(Pointwise(function!(|p, g; lr, decay| p - lr * (g + decay * p))))
}

/// g + λp
#[inline(never)]
fn decayed(decay: f64) -> Handle {
    Handle::new(Pointwise(function!(|p, g; decay| g + decay * p)))
}

/// μv + (1 − τ)(g + λp)
#[inline(never)]
fn accelerate(momentum: f64, fresh: f64, decay: f64) -> Handle {
    Handle::new(Pointwise(function!(|v, p, g; momentum, fresh, decay| momentum * v + fresh * (g + decay * p))))
}

/// p − η(g + λp + μv)
#[inline(never)]
fn look_ahead(lr: f64, momentum: f64, decay: f64) -> Handle {
    Handle::new(Pointwise(function!(|p, g, v; lr, momentum, decay| p - lr * (g + decay * p + momentum * v))))
}

#[cfg(test)]
mod tests {
    use autograd::{Graph, tensor};

    use super::*;
    use crate::parameter::Parameter;

    /// The loss ½·2p² + p·1 has the gradient 2p + 1.
    fn slope(p: f64) -> f64 {
        2.0 * p + 1.0
    }

    fn step(optimizer: &mut Sgd<f64>, p: &mut Parameter<f64>) {
        let g = Graph::new();
        let x = p.bind(&g);
        optimizer.step(p, &(x.square() + x).sum().backward().unwrap()).unwrap();
    }

    /// Three steps from p = 1, against numbers computed by hand.
    fn assert_path(mut optimizer: Sgd<f64>, expected: [f64; 3]) {
        let mut p = Parameter::new(tensor![1.0]);
        for expected in expected {
            step(&mut optimizer, &mut p);
            let found = p.value().item().unwrap();
            assert!((found - expected).abs() < 1e-14, "{found} is not {expected}");
        }
    }

    #[test]
    fn plain() {
        // p = 1: 1 − 0.1·3 = 0.7; 0.7 − 0.1·2.4 = 0.46; 0.46 − 0.1·1.92 = 0.268
        assert_path(Sgd::new(0.1), [0.7, 0.46, 0.268]);
    }

    #[test]
    fn with_momentum() {
        // v = 3, p = 0.7; v = 2.7 + 2.4 = 5.1, p = 0.19; v = 4.59 + 1.38 = 5.97, p = −0.407
        assert_path(Sgd::new(0.1).momentum(0.9), [0.7, 0.19, -0.407]);
    }

    #[test]
    fn with_dampening() {
        // v = 3 (the first is not dampened), p = 0.7; v = 2.7 + 0.5·2.4 = 3.9, p = 0.31; v = 3.51 + 0.5·1.62 = 4.32, p = −0.122
        assert_path(Sgd::new(0.1).momentum(0.9).dampening(0.5), [0.7, 0.31, -0.122]);
    }

    #[test]
    fn with_nesterovs_momentum() {
        // v = 3, p = 1 − 0.1·(3 + 2.7) = 0.43; v = 2.7 + 1.86 = 4.56, p = 0.43 − 0.1·(1.86 + 4.104) = −0.1664;
        // g = 0.6672, v = 4.104 + 0.6672 = 4.7712, p = −0.1664 − 0.1·(0.6672 + 4.29408) = −0.662528
        assert_path(Sgd::new(0.1).momentum(0.9).nesterov(), [0.43, -0.1664, -0.662_528]);
    }

    #[test]
    fn with_weight_decay() {
        // g = 3 + 0.5 = 3.5, p = 0.65; g = 2.3 + 0.325 = 2.625, p = 0.3875; g = 1.775 + 0.19375 = 1.96875, p = 0.190625
        assert_path(Sgd::new(0.1).weight_decay(0.5), [0.65, 0.3875, 0.190_625]);
    }

    #[test]
    fn with_everything_against_the_formulas() {
        let (lr, mu, decay) = (0.05, 0.8, 0.3);
        let (mut p, mut v) = (1.0, 0.0);
        let path = [0, 1, 2].map(|k| {
            let g = slope(p) + decay * p;
            v = if k == 0 { g } else { mu * v + g };
            p -= lr * (g + mu * v);
            p
        });
        assert_path(Sgd::new(lr).momentum(mu).nesterov().weight_decay(decay), path);
    }

    struct Two {
        used: Parameter<f64>,
        idle: Parameter<f64>,
    }
    crate::parameters!(Two: f64 { used, idle });

    #[test]
    fn parameters_without_gradient_are_named_and_left_alone() {
        let mut model = Two { used: Parameter::new(tensor![1.0]), idle: Parameter::new(tensor![5.0]) };
        let mut optimizer = Sgd::new(0.1).momentum(0.9).weight_decay(0.5);
        let g = Graph::new();
        let grads = model.used.bind(&g).sum().backward().unwrap();
        let idle = optimizer.step(&mut model, &grads).unwrap();
        assert_eq!(idle, [Untrained { name: "idle".into(), why: "it was never bound to the graph".into() }]);
        // One that was cut off says where.
        let g = Graph::new();
        let grads = (model.used.bind(&g) * model.idle.bind(&g).detach()).sum().backward().unwrap();
        let idle = Sgd::new(0.0).step(&mut model, &grads).unwrap();
        assert!(idle[0].to_string().starts_with("idle: all that leads from it (bound at"), "{}", idle[0]);
        assert!(idle[0].why.contains("cut off by detach() at"), "{}", idle[0]);
        assert_eq!(model.idle.value(), &tensor![5.0]);
        assert_ne!(model.used.value(), &tensor![1.0]);
    }

    #[test]
    fn gradients_of_another_model_are_an_error() {
        let mut model = Two { used: Parameter::new(tensor![1.0]), idle: Parameter::new(tensor![5.0]) };
        let g = Graph::new();
        let grads = model.used.clone().bind(&g).sum().backward().unwrap();
        assert!(matches!(Sgd::new(0.1).step(&mut model, &grads), Err(Error::NoGradients { count: 2, .. })));
    }

    #[test]
    fn momentum_belongs_to_the_parameter_not_to_its_place() {
        let mut optimizer = Sgd::new(0.1).momentum(0.9);
        let (mut a, mut b) = (Parameter::new(tensor![1.0]), Parameter::new(tensor![1.0]));
        for _ in 0..3 {
            step(&mut optimizer, &mut a);
            step(&mut optimizer, &mut b);
        }
        assert!((a.value().item().unwrap() + 0.407).abs() < 1e-14);
        assert_eq!(a.value(), b.value());
    }

    #[test]
    fn a_step_to_infinity_changes_nothing() {
        let mut model = Two { used: Parameter::new(tensor![1.0]), idle: Parameter::new(tensor![5.0]) };
        let mut optimizer = Sgd::new(1.0).momentum(0.9);
        let run = |model: &Two, scale: f64| {
            let g = Graph::new();
            (model.idle.bind(&g).sum() + (model.used.bind(&g) * scale).sum()).backward().unwrap()
        };
        let grads = run(&model, f64::INFINITY);
        let error = optimizer.step(&mut model, &grads).unwrap_err();
        assert!(matches!(&error, Error::NonFiniteStep { name, at: None } if name == "used"), "{error}");
        assert_eq!((model.used.value(), model.idle.value()), (&tensor![1.0], &tensor![5.0]));
        // The velocities too are as before: this is a first step.
        let grads = run(&model, 1.0);
        optimizer.step(&mut model, &grads).unwrap();
        assert_eq!((model.used.value(), model.idle.value()), (&tensor![0.0], &tensor![4.0]));
    }

    #[test]
    fn settings_that_make_no_sense_are_refused_and_change_nothing() {
        for bad in [Sgd::new(-0.1), Sgd::new(f64::NAN), Sgd::new(0.1).nesterov(), Sgd::new(0.1).momentum(0.9).dampening(0.1).nesterov()] {
            let mut p = Parameter::new(tensor![1.0]);
            let g = Graph::new();
            let grads = p.bind(&g).sum().backward().unwrap();
            assert!(matches!(bad.clone().step(&mut p, &grads), Err(Error::Config { .. })), "{bad:?}");
            assert_eq!(p.value(), &tensor![1.0]);
        }
    }
}
