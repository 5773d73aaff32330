//! Tests of the pictures: what is in them, and what is not.

use super::*;

/// The numbers of an attribute of all tags of a kind.
fn attributes(svg: &str, tag: &str, name: &str) -> Vec<f64> {
    let tags = svg.split('<').filter(|part| part.starts_with(tag) && part[tag.len()..].starts_with(' '));
    tags.filter_map(|part| part.split_once(&format!(" {name}=\""))?.1.split_once('"')?.0.parse().ok()).collect()
}

fn texts(svg: &str) -> Vec<&str> {
    svg.split("<text").skip(1).filter_map(|part| Some(part.split_once('>')?.1.split_once('<')?.0)).collect()
}

/// Every tag that is opened is closed, in the right order.
fn assert_well_formed(svg: &str) {
    let mut open: Vec<&str> = Vec::new();
    for part in svg.split('<').skip(1) {
        let (tag, _) = part.split_once('>').expect("a tag ends");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{svg}");
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap());
        }
    }
    assert!(open.is_empty(), "{open:?}");
    let attributes: Vec<&str> = svg.split('"').skip(1).step_by(2).collect();
    assert!(attributes.iter().all(|text| !text.contains("NaN") && !text.contains("inf")), "{svg}");
}

fn wave(n: i32) -> impl Iterator<Item = (f64, f64)> {
    (0..n).map(|k| (f64::from(k), (f64::from(k) / 5.0).sin()))
}

#[test]
fn the_same_numbers_give_the_same_text() {
    let chart = || Chart::new("Waves").x("t").y("x").with(Series::line("sine", wave(50))).with(Series::bars("bars", wave(7)));
    assert_eq!(chart().to_svg(), chart().to_svg());
    assert_eq!(chart().to_text(), chart().to_text());
    assert_well_formed(&chart().to_svg());
}

#[test]
fn ticks_are_round() {
    let svg = Chart::new("").x("").y("").with(Series::line("", [(0.0, -0.46), (97.0, 1.18)])).to_svg();
    let found = texts(&svg);
    for expected in ["0", "20", "100", "−0.5", "0.0", "1.0"] {
        assert!(found.contains(&expected), "{expected} is not in {found:?}");
    }
    let powers = Chart::new("").y(Axis::new("").log10()).with(Series::line("", [(0.0, 1e-9), (1.0, 1e3)])).to_svg();
    assert!(texts(&powers).contains(&"10⁻⁸"), "{:?}", texts(&powers));
    let doubled = Chart::new("").x(Axis::new("").log2()).with(Series::line("", [(1.0, 0.0), (64.0, 3.0)])).to_svg();
    for expected in ["1", "8", "64"] {
        assert!(texts(&doubled).contains(&expected), "{expected} is not in {:?}", texts(&doubled));
    }
    let narrow = Chart::new("").y(Axis::new("").log10()).with(Series::line("", [(0.0, 3.0), (1.0, 4.0)])).to_svg();
    assert!(texts(&narrow).len() >= 4, "{:?}", texts(&narrow));
}

#[test]
fn what_is_no_number_is_left_out_and_said() {
    let points = [(0.0, 1.0), (1.0, f64::NAN), (2.0, 2.0), (3.0, f64::INFINITY), (4.0, 3.0), (5.0, 4.0)];
    let chart = Chart::new("").with(Series::line("holes", points));
    let svg = chart.to_svg();
    assert_well_formed(&svg);
    assert!(svg.contains("2 points are not drawn: NaN or ∞"), "{svg}");
    assert!(chart.to_text().contains("2 points are not drawn"));
    // One run has two points; the other two are single ones, which are seen by their markers.
    assert_eq!(svg.matches("<polyline").count(), 1);
    let negative = Chart::new("").y(Axis::new("").log10()).with(Series::line("", [(0.0, 0.0), (1.0, 1.0), (2.0, 10.0)]));
    assert!(negative.to_svg().contains("1 point is not drawn: not above 0 on a logarithmic axis"));
}

#[test]
fn nothing_at_all_is_drawn_as_such() {
    let empty = [Series::line("a", []), Series::points("b", []), Series::bars("c", []), Series::reference("d", [(f64::NAN, 0.0)])];
    for axis in [Axis::default(), Axis::new("x").log10(), Axis::new("x").log2(), Axis::new("x").range(f64::NAN, 1.0).unit("s")] {
        let chart = Chart::new("").x(axis.clone()).y(axis).with_all(empty.clone());
        assert_well_formed(&chart.to_svg());
        assert!(chart.to_svg().contains("no data"));
        assert!(chart.to_text().lines().count() > 16);
    }
    assert_well_formed(&Figure::new("").to_svg());
    assert_well_formed(&Chart::new("").to_svg());
    assert!(HeatMap::new("", Vec::<Vec<f64>>::new()).to_svg().contains("no data"));
    assert!(HeatMap::new("", [Vec::new()]).to_svg().contains("no data"));
    for n in 0..3 {
        assert_well_formed(&Chart::new("").over(Surface::new((0.0, 1.0), (0.0, 1.0), n, |_, _| 1.0)).to_svg());
    }
    assert_well_formed(&Chart::new("").over(Surface::new((0.0, 0.0), (1.0, 0.0), 9, |x, _| 1.0 / x)).to_svg());
}

#[test]
fn extreme_numbers_have_places() {
    for y in [1e300, -1e300, 1e-300, 5e-324, f64::MAX, 0.0] {
        for axis in [Axis::default(), Axis::default().log10()] {
            for points in [vec![(0.0, y)], vec![(0.0, y), (1.0, y)], vec![(0.0, y), (1.0, 2.0)], vec![(0.0, -y), (1.0, y)]] {
                let svg = Chart::new("").y(axis.clone()).with(Series::line("s", points)).to_svg();
                let height = attributes(&svg, "svg", "height")[0];
                let cy = attributes(&svg, "circle", "cy");
                assert!(cy.iter().all(|v| (-40.0..=height + 40.0).contains(v)), "{y}: {cy:?} in {svg}");
            }
        }
    }
}

#[test]
fn names_cannot_break_the_document() {
    let name = "<script>\"&\u{7}</svg>";
    let chart = Chart::new(name).x(name).y(Axis::new(name).unit(name)).with(Series::line(name, wave(3)));
    let svg = Figure::new(name).with(chart).with(HeatMap::new(name, [[1.0]]).across(name).down(name)).to_svg();
    assert_well_formed(&svg);
    assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;&quot;&amp; &lt;/svg&gt;"));
}

#[test]
fn the_legend_stands_above_the_plot() {
    let chart = Chart::new("").with_all((0..9).map(|k| Series::line(format!("a long name of a series {k}"), wave(20))));
    let svg = chart.to_svg();
    let plot_top = attributes(&svg, "svg", "y")[0];
    let lines: Vec<&str> = svg.lines().filter(|line| line.contains("a long name") && line.starts_with("<text")).collect();
    assert_eq!(lines.len(), 9);
    let width = attributes(&svg, "svg", "width")[0];
    for line in lines {
        let (x, y) = (attributes(line, "text", "x")[0], attributes(line, "text", "y")[0]);
        assert!(y < plot_top, "{line}");
        assert!(x + svg::width_of("a long name of a series 0", svg::SIZE) <= width, "{line}");
    }
}

#[test]
fn series_differ_without_colour() {
    let of = |k: usize| (svg::Style::of(k).dashes, svg::Style::of(k).marker);
    for a in 0..42 {
        assert!((0..a).all(|b| of(a) != of(b)), "{a}");
    }
}

#[test]
fn charts_of_a_figure_with_the_same_series_share_a_legend() {
    let chart = |name: &str| Chart::new("").with(Series::line(name, wave(9)));
    let count = |figure: Figure| figure.to_svg().matches(">sine</text>").count();
    assert_eq!(count(Figure::new("").with(chart("sine")).with(chart("sine"))), 1);
    assert_eq!(count(Figure::new("").with(chart("sine")).with(chart("cosine"))), 1);
    assert_eq!(count(Figure::new("").with(chart("sine")).with(chart("sine")).with(chart("other"))), 2);
}

#[test]
fn contour_lines_are_where_the_function_has_the_value() {
    let bowl = Surface::new((-2.0, 2.0), (-2.0, 2.0), 41, |x, y| x * x + y * y);
    let lines = bowl.lines(1.0);
    assert_eq!(lines.len(), 1, "a circle is one line");
    assert_eq!(lines[0].first(), lines[0].last(), "which is closed");
    assert!(lines[0].len() > 40);
    assert!(lines[0].iter().all(|(x, y)| (x.hypot(*y) - 1.0).abs() < 2e-3), "{lines:?}");
    // A saddle: two open lines, and no crossing of them.
    let saddle = Surface::new((-1.0, 1.0), (-1.0, 1.0), 10, |x, y| x * y);
    let lines = saddle.lines(0.1);
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().flatten().all(|(x, y)| x * y > 0.0));
    assert!(bowl.lines(99.0).is_empty());
    assert!(Surface::new((0.0, 1.0), (0.0, 1.0), 5, |_, _| f64::NAN).values().is_empty());
}

#[test]
fn cells_have_the_colours_of_their_signs() {
    let svg = HeatMap::new("", [[-1.0, 0.0], [1.0, f64::NAN]]).numbers().to_svg();
    for colour in ["rgb(33,102,172)", "rgb(247,247,247)", "rgb(178,24,43)", "#c8c8c8"] {
        assert!(svg.contains(colour), "{colour}");
    }
    assert!(svg.contains("1 grey cell: NaN or ∞"));
}

#[test]
fn a_chart_in_characters() {
    let line = Chart::new("A line").x("x").y("y").with(Series::line("y = x", [(0.0, 0.0), (10.0, 10.0)]));
    let text = line.to_text();
    let rows: Vec<&str> = text.lines().filter(|row| row.contains('|')).collect();
    assert_eq!(rows.len(), 16);
    assert!(rows[0].trim_end().ends_with('*') && rows[15].contains("0 |*"), "{text}");
    assert!(text.lines().all(|row| row.chars().count() <= 90), "{text}");
}
