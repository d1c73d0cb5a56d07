//! How cost grows, as a picture.

use anyhow::{Result, anyhow};
use plotters::prelude::{
    BLACK, ChartBuilder, Circle, IntoDrawingArea as _, IntoLogRange as _, LineSeries, PathElement, RGBColor,
    SVGBackend, SeriesLabelPosition, WHITE,
};

/// A line of a picture.
pub(crate) struct Line {
    pub(crate) name: String,
    /// Numbers of prefixes, and nanoseconds.
    pub(crate) points: Vec<(u32, f64)>,
}

/// Colours that people who see few can tell apart (Okabe and Ito, 2008).
const COLORS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(86, 180, 233),
    RGBColor(204, 121, 167),
    RGBColor(213, 94, 0),
    RGBColor(230, 159, 0),
    RGBColor(90, 90, 90),
    RGBColor(0, 0, 0),
];

/// The picture as SVG: nanoseconds over prefixes.
pub(crate) fn growth(title: &str, lines: &[Line]) -> Result<String> {
    let mut text = String::new();
    draw(&mut text, title, lines).map_err(|error| anyhow!("the picture cannot be drawn: {error}"))?;
    Ok(text)
}

fn draw(text: &mut String, title: &str, lines: &[Line]) -> Result<(), Box<dyn std::error::Error>> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let most = points().map(|(_, time)| *time).fold(0.0, f64::max);
    let (first, last) = points().fold((u32::MAX, 2), |(first, last), (size, _)| (first.min(*size), last.max(*size)));
    let area = SVGBackend::with_string(text, (880, 460)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .margin_right(36)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d((first..last).log_scale(), 0.0..most * 1.1)?;
    chart.configure_mesh().x_desc("prefixes").y_desc("ns for one packet").draw()?;
    for (line, color) in lines.iter().zip(COLORS.iter().cycle()) {
        let series = chart.draw_series(LineSeries::new(line.points.iter().copied(), color))?;
        series.label(&line.name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], *color));
        chart.draw_series(line.points.iter().map(|point| Circle::new(*point, 3, color)))?;
    }
    // Where few prefixes are nothing costs much.
    let labels = SeriesLabelPosition::UpperLeft;
    chart.configure_series_labels().position(labels).background_style(WHITE).border_style(BLACK).draw()?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_a_line_for_each_name() {
        let line = |name: &str| Line { name: name.to_owned(), points: vec![(16, 10.0), (1000, 20.0)] };
        let picture = growth("title", &[line("filter"), line("trie")]).unwrap();
        assert!(picture.starts_with("<svg") && picture.matches("<polyline").count() >= 4, "{picture}");
        assert!(["title", "filter", "trie"].iter().all(|text| picture.contains(text)), "{picture}");
    }
}
