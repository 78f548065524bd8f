//! `Curve`: how many clients arrived in each tenth of a second, and how many were to, as an SVG.

use std::fmt::Write as _;

/// Milliseconds of a bar.
pub(crate) const BAR_MS: u64 = 100;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 340.0;

/// Around the bars.
const LEFT: f64 = 60.0;
const RIGHT: f64 = 15.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;

/// Arrivals over time.
#[derive(Default)]
pub(crate) struct Curve {
    /// Clients that arrived in each [`BAR_MS`].
    bars: Vec<u32>,
    wanted: Vec<Wanted>,
}

/// So many in each [`BAR_MS`], from one bar to another.
struct Wanted {
    from: f64,
    to: f64,
    clients: f64,
}

impl Curve {
    /// Adds arrivals, which have the numbers of their bars.
    pub(crate) fn add(&mut self, arrivals: impl IntoIterator<Item = usize>) {
        for bar in arrivals {
            if self.bars.len() <= bar {
                self.bars.resize(bar + 1, 0);
            }
            self.bars[bar] += 1;
        }
    }

    /// Adds a line: so many clients were to arrive in each bar, from one on for so many.
    pub(crate) fn want(&mut self, first: usize, count: f64, clients: f64) {
        self.wanted.push(Wanted { from: first as f64, to: first as f64 + count, clients });
    }

    /// Draws it.
    pub(crate) fn svg(&self, title: &str) -> String {
        let highest = self.wanted.iter().map(|wanted| wanted.clients).fold(1.0, f64::max);
        let highest = self.bars.iter().map(|clients| f64::from(*clients)).fold(highest, f64::max);
        let step = nice_step(highest / 5.0);
        let highest = (highest / step).ceil() * step;
        let ends = self.wanted.iter().map(|wanted| wanted.to);
        let bars = ends.fold(self.bars.len() as f64, f64::max).max(1.0);
        let x = |bar: f64| LEFT + bar / bars * (WIDTH - LEFT - RIGHT);
        let y = |clients: f64| HEIGHT - BOTTOM - clients / highest * (HEIGHT - TOP - BOTTOM);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
             <text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{title}</text>\n"
        );
        let mut clients = 0.0;
        while clients <= highest {
            let at = y(clients);
            writeln!(
                svg,
                "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{clients}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                at + 4.0
            )
            .unwrap();
            clients += step;
        }
        let per_second = 1000.0 / BAR_MS as f64;
        let every = nice_step(bars / per_second / 15.0).max(1.0);
        let mut seconds = 0.0;
        while seconds * per_second <= bars {
            let (at, under) = (x(seconds * per_second), HEIGHT - BOTTOM + 18.0);
            writeln!(svg, "<text x=\"{at:.1}\" y=\"{under}\" text-anchor=\"middle\">{seconds}</text>")
                .unwrap();
            seconds += every;
        }
        for (bar, clients) in self.bars.iter().enumerate().filter(|(_, clients)| **clients > 0) {
            let (from, to, top) = (x(bar as f64), x(bar as f64 + 1.0), y(f64::from(*clients)));
            writeln!(
                svg,
                "<rect x=\"{from:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#4a7fb5\"/>",
                (to - from) * 0.85,
                y(0.0) - top
            )
            .unwrap();
        }
        for Wanted { from, to, clients } in &self.wanted {
            let (from, to, at) = (x(*from), x(*to), y(*clients));
            writeln!(
                svg,
                "<line x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#c0392b\" stroke-width=\"2\"/>"
            )
            .unwrap();
        }
        let (middle, down) = (f64::midpoint(LEFT, WIDTH - RIGHT), f64::midpoint(TOP, HEIGHT - BOTTOM));
        writeln!(
            svg,
            "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">seconds since the first SIGTERM</text>\n\
             <text transform=\"translate(16 {down}) rotate(-90)\" text-anchor=\"middle\">\
             clients connected to the others, per {BAR_MS} ms</text>\n</svg>",
            HEIGHT - 12.0
        )
        .unwrap();
        svg
    }
}

/// The next of 1, 2, 5, 10, 20, 50 and so on.
fn nice_step(value: f64) -> f64 {
    let ten = 10_f64.powf(value.max(1.0).log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|factor| factor * ten).find(|step| *step >= value).unwrap_or(10.0 * ten)
}
