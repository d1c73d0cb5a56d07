//! Regions and the names that each goes by: `ashburn-ix`, the legacy `us1-ix`, «North America Virginia».
//!
//! A document says in several places which names belong together: cells such as `ashburn-ix (us1-ix)`, tables that set a
//! host name beside a place, and headings over address blocks. The book joins them.

use super::{
    super::{
        document::{Document, Item},
        words::{contains_phrase, tidy, words},
    },
    protocols::Kinds,
};

/// Places that providers use for a region under another name, for pages that do not say so themselves.
const KNOWN_PLACES: [(&str, &str); 4] =
    [("ashburn", "Virginia"), ("umatilla", "Oregon"), ("dublin", "Ireland"), ("san-jose", "California")];

/// How headings of regions begin.
const CONTINENTS: [&str; 10] = [
    "north america",
    "south america",
    "latin america",
    "europe",
    "asia",
    "asia pacific",
    "africa",
    "australia",
    "middle east",
    "emea",
];

/// Words of a heading that name what stands there, not where it is.
const THINGS: [&str; 22] = [
    "interconnect",
    "gateway",
    "gateways",
    "ip",
    "ips",
    "address",
    "addresses",
    "signaling",
    "signalling",
    "media",
    "range",
    "ranges",
    "sip",
    "servers",
    "server",
    "region",
    "edge",
    "location",
    "ports",
    "and",
    "traffic",
    "allowlist",
];

/// The regions of one document.
#[derive(Debug, Default)]
pub(crate) struct RegionBook(Vec<Region>);

#[derive(Debug, Default)]
struct Region {
    names: Vec<String>,
    /// Folded words of the places that the document sets beside a name.
    places: Vec<Vec<String>>,
}

impl RegionBook {
    /// Adds the regions that the region cells of one row name.
    pub(crate) fn add_row(&mut self, cells: &[String]) {
        for names in regions_of_row(cells) {
            self.add(names);
        }
    }

    fn add(&mut self, names: Vec<String>) {
        let known = self.0.iter_mut().find(|region| names.iter().any(|name| region.names.contains(name)));
        match known {
            Some(region) => {
                let new: Vec<_> = names.into_iter().filter(|name| !region.names.contains(name)).collect();
                region.names.extend(new);
            }
            None => self.0.push(Region { names, places: Vec::new() }),
        }
    }

    /// Adds the places that tables of host names set beside a region's name, and those known beforehand.
    pub(crate) fn add_places(&mut self, document: &Document) {
        for region in &mut self.0 {
            for (stem, place) in KNOWN_PLACES {
                if region.names.iter().any(|name| name.trim_end_matches("-ix") == stem) {
                    region.places.push(words(place));
                }
            }
        }
        for item in &document.items {
            if let Item::Table(table) = item {
                for row in &table.rows {
                    self.add_places_of_row(&row.cells);
                }
            }
        }
        self.drop_shared_places();
    }

    fn add_places_of_row(&mut self, cells: &[String]) {
        for region in &mut self.0 {
            let host = cells.iter().position(|cell| is_host_of(cell, &region.names));
            let Some(host) = host else { continue };
            let others = cells.iter().enumerate().filter(|(column, _)| *column != host);
            let places = others.flat_map(|(_, cell)| cell.split(',')).map(words);
            region.places.extend(places.filter(|place| !place.is_empty()));
        }
    }

    /// A place of two regions («United States») tells neither.
    fn drop_shared_places(&mut self) {
        let all: Vec<_> = self.0.iter().map(|region| region.places.clone()).collect();
        for (index, region) in self.0.iter_mut().enumerate() {
            let elsewhere = |place: &Vec<String>| {
                all.iter().enumerate().any(|(other, places)| other != index && places.contains(place))
            };
            region.places.retain(|place| !elsewhere(place));
        }
    }

    /// Adds the place that a heading over addresses names, to the region that it is or as a region of its own.
    pub(crate) fn add_heading(&mut self, heading: &str) {
        let Some(place) = place_of_heading(heading) else {
            return;
        };
        let text = words(&place);
        let mut matching = self.0.iter_mut().filter(|region| region.is_named_in(&text));
        match (matching.next(), matching.next()) {
            (Some(region), None) if region.names.contains(&place) => {}
            (Some(region), None) => region.names.push(place),
            (None, _) if begins_with_continent(&text) => self.add(vec![place]),
            _ => {}
        }
    }

    /// Every name of the regions that a row's cells or, where they name none, its heading stand for.
    pub(crate) fn names(&self, cells: &[String], heading: &str) -> Vec<String> {
        let mut stated: Vec<String> = regions_of_row(cells).into_iter().flatten().collect();
        if stated.is_empty() {
            stated.extend(place_of_heading(heading));
        }
        let regions = self.0.iter().filter(|region| region.names.iter().any(|name| stated.contains(name)));
        regions.flat_map(|region| region.names.clone()).collect()
    }
}

impl Region {
    /// Whether a heading's words hold a name or place of this region.
    fn is_named_in(&self, text: &[String]) -> bool {
        let names = self.names.iter().map(|name| words(name.trim_end_matches("-ix")));
        names.chain(self.places.iter().cloned()).any(|phrase| contains_phrase(text, &phrase))
    }
}

/// Whether `cell` is a host name with one of `names` among its labels.
fn is_host_of(cell: &str, names: &[String]) -> bool {
    let cell = tidy(cell);
    cell.matches('.').count() >= 2 && cell.split('.').any(|label| names.iter().any(|name| name == label))
}

/// The place in a heading over addresses: «North America Virginia» of «North America Virginia Interconnect Gateways».
fn place_of_heading(heading: &str) -> Option<String> {
    let mut parts: Vec<_> = heading.split_whitespace().collect();
    while parts.last().is_some_and(|last| is_thing(last)) {
        parts.pop();
    }
    let first = parts.iter().position(|part| !is_thing(part))?;
    (parts.len() - first <= 6).then(|| parts[first..].join(" "))
}

fn is_thing(word: &str) -> bool {
    words(word).iter().all(|word| THINGS.contains(&word.as_str()))
}

fn begins_with_continent(text: &[String]) -> bool {
    CONTINENTS.iter().any(|continent| text.starts_with(&words(continent)))
}

/// The regions that the region cells of a row name; two cells with one region each name the same one.
fn regions_of_row(cells: &[String]) -> Vec<Vec<String>> {
    let named: Vec<_> = cells.iter().map(|cell| regions_of_cell(cell)).filter(|regions| !regions.is_empty()).collect();
    if named.iter().all(|regions| regions.len() == 1) && !named.is_empty() {
        return vec![named.into_iter().flatten().flatten().collect()];
    }
    named.into_iter().flatten().collect()
}

/// The regions that a cell names, each with the alias in parentheses: `ashburn-ix (us1-ix)`.
fn regions_of_cell(cell: &str) -> Vec<Vec<String>> {
    if !Kinds::of_text(cell).is_empty() {
        return Vec::new();
    }
    let mut regions = Vec::new();
    let mut rest = cell;
    while let Some((name, (alias, after))) =
        rest.split_once('(').and_then(|(name, tail)| Some((name, tail.split_once(')')?)))
    {
        let mut alone: Vec<_> = lines(name).collect();
        let name = alone.pop();
        regions.extend(alone.into_iter().map(|name| vec![name]));
        let alias = Some(alias.trim().to_owned()).filter(|alias| alias != "default" && !alias.is_empty());
        regions.push(name.into_iter().chain(alias).collect());
        rest = after;
    }
    regions.extend(lines(rest).map(|name| vec![name]));
    regions.retain(|names| !names.is_empty());
    regions
}

fn lines(text: &str) -> impl Iterator<Item = String> {
    let names = text.split(['\n', ';']).map(|name| name.trim().trim_matches(',').trim());
    names.filter(|name| !name.is_empty() && !is_every_region(name)).map(str::to_owned)
}

/// Whether a cell says that the row belongs to all regions.
fn is_every_region(name: &str) -> bool {
    matches!(words(name).join(" ").as_str(), "all" | "any" | "global" | "all regions" | "worldwide")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str) -> Vec<String> {
        vec![text.to_owned()]
    }

    #[test]
    fn an_alias_in_parentheses_names_the_same_region() {
        for text in ["ashburn-ix (us1-ix)\nroaming (gll-ix)", "ashburn-ix (us1-ix) roaming (gll-ix)"] {
            assert_eq!(regions_of_cell(text), [["ashburn-ix", "us1-ix"], ["roaming", "gll-ix"]], "{text}");
        }
        assert_eq!(
            regions_of_row(&["us1".to_owned(), "US East Coast (Virginia)".to_owned()]),
            [["us1", "US East Coast", "Virginia"]]
        );
        assert!(regions_of_cell("Media").is_empty());
    }

    #[test]
    fn a_heading_joins_the_region_whose_place_it_names() {
        let mut book = RegionBook::default();
        book.add_row(&cell("ashburn-ix (us1-ix)\nsao-paulo-ix (br1-ix)"));
        book.add_places(&Document::default());
        book.add_heading("North America Virginia Interconnect Gateways");
        book.add_heading("South America São Paulo Interconnect Gateways");
        assert_eq!(
            book.names(&[], "South America São Paulo Interconnect Gateways"),
            ["sao-paulo-ix", "br1-ix", "South America São Paulo",]
        );
        assert_eq!(book.names(&cell("us1-ix"), "Media"), ["ashburn-ix", "us1-ix", "North America Virginia"]);
    }

    #[test]
    fn a_heading_without_a_place_is_no_region() {
        let mut book = RegionBook::default();
        book.add_heading("Voice Gateway");
        book.add_heading("Europe Frankfurt Gateways");
        assert!(book.names(&[], "Voice Gateway").is_empty());
        assert_eq!(book.names(&[], "Europe Frankfurt Gateways"), ["Europe Frankfurt"]);
    }
}
