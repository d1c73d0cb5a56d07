//! Regions and the names that each goes by: `ashburn-ix`, the legacy `us1-ix`, «North America Virginia».
//!
//! A document says in several places which names belong together: cells such as `ashburn-ix (us1-ix)`, tables that set a
//! host name beside a place, and headings over address blocks. The book joins them.

use std::collections::{HashMap, HashSet};

use super::{
    super::{
        document::{Document, Item},
        limits::{MOST_REGION_HEADINGS, MOST_REGIONS},
        words::{WordSet, contains_phrase, tidy, words},
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
static THINGS: WordSet = WordSet::new(
    "interconnect gateway gateways ip ips address addresses signaling signalling \
    media range ranges sip servers server region edge location ports and traffic \
    allowlist",
);

/// The regions of one document.
#[derive(Debug, Default)]
pub(crate) struct RegionBook {
    regions: Vec<Region>,
    /// The region that each name stands for.
    by_name: HashMap<String, usize>,
    headings: HashSet<String>,
}

#[derive(Debug, Default)]
struct Region {
    names: Vec<String>,
    /// Folded words of the names, and of the places that the document sets beside a name.
    phrases: Vec<Vec<String>>,
}

/// The most phrases by which a region is known.
const MOST_PHRASES: usize = 32;

impl RegionBook {
    /// Adds the regions that the region cells of one row name.
    pub(crate) fn add_row(&mut self, cells: &[String]) {
        for names in regions_of_row(cells) {
            self.add(names);
        }
    }

    fn add(&mut self, names: Vec<String>) {
        let known = names.iter().find_map(|name| self.by_name.get(name));
        let index = known.copied().unwrap_or(self.regions.len());
        if index == self.regions.len() {
            if index >= MOST_REGIONS {
                return;
            }
            self.regions.push(Region::default());
        }
        for name in names {
            self.add_name(index, name);
        }
    }

    fn add_name(&mut self, index: usize, name: String) {
        let region = &mut self.regions[index];
        if region.phrases.len() < MOST_PHRASES && !self.by_name.contains_key(&name) {
            region.phrases.push(words(name.trim_end_matches("-ix")));
            region.names.push(name.clone());
            self.by_name.insert(name, index);
        }
    }

    /// Adds the places that tables of host names set beside a region's name, and those known beforehand.
    pub(crate) fn add_places(&mut self, document: &Document) {
        let mut places = Vec::new();
        for (stem, place) in KNOWN_PLACES {
            let names = [stem.to_owned(), format!("{stem}-ix")];
            let region = names.iter().find_map(|name| self.by_name.get(name));
            places.extend(region.map(|region| (*region, words(place))));
        }
        for item in &document.items {
            if let Item::Table(table) = item {
                places.extend(table.rows.iter().flat_map(|row| self.places_of_row(&row.cells)));
            }
        }
        self.add_unshared(places);
    }

    /// The region whose name a host name in the row has, with each place that stands beside it.
    fn places_of_row(&self, cells: &[String]) -> Vec<(usize, Vec<String>)> {
        let host = cells.iter().enumerate().find_map(|(column, cell)| Some((column, self.region_of_host(cell)?)));
        let Some((host, region)) = host else {
            return Vec::new();
        };
        let others = cells.iter().enumerate().filter(|(column, _)| *column != host);
        let places = others.flat_map(|(_, cell)| cell.split(',')).map(words);
        places.filter(|place| !place.is_empty()).map(|place| (region, place)).collect()
    }

    /// The region among whose names is a label of the host name `cell`.
    fn region_of_host(&self, cell: &str) -> Option<usize> {
        let cell = tidy(cell);
        let is_host = cell.matches('.').count() >= 2;
        cell.split('.').filter(|_| is_host).find_map(|label| self.by_name.get(label)).copied()
    }

    /// Adds places, but none that stands beside two regions («United States»): it tells neither.
    fn add_unshared(&mut self, places: Vec<(usize, Vec<String>)>) {
        let mut regions: HashMap<Vec<String>, HashSet<usize>> = HashMap::new();
        for (region, place) in &places {
            regions.entry(place.clone()).or_default().insert(*region);
        }
        for (region, place) in places {
            let phrases = &mut self.regions[region].phrases;
            let is_shared = regions.get(&place).is_some_and(|regions| regions.len() > 1);
            if !is_shared && phrases.len() < MOST_PHRASES && !phrases.contains(&place) {
                phrases.push(place);
            }
        }
    }

    /// Adds the place that a heading over addresses names, to the region that it is or as a region of its own.
    pub(crate) fn add_heading(&mut self, heading: &str) {
        let place = place_of_heading(heading).filter(|_| self.headings.len() < MOST_REGION_HEADINGS);
        let Some(place) = place.filter(|place| self.headings.insert(place.clone())) else {
            return;
        };
        let text = words(&place);
        let regions = self.regions.iter().enumerate();
        let mut matching = regions.filter(|(_, region)| region.is_named_in(&text)).map(|(index, _)| index);
        match (matching.next(), matching.next()) {
            (Some(region), None) => self.add_name(region, place),
            (None, _) if begins_with_continent(&text) => self.add(vec![place]),
            _ => {}
        }
    }

    /// Every name of the regions that a row's cells or, where they name none, its heading stand for.
    pub(crate) fn names(&self, cells: &[String], heading: &str) -> Vec<String> {
        let stated: Vec<String> = regions_of_row(cells).into_iter().flatten().collect();
        if stated.is_empty() {
            let place = place_of_heading(heading);
            let region = place.and_then(|place| self.by_name.get(&place));
            return region.map(|region| self.regions[*region].names.clone()).unwrap_or_default();
        }
        let mut seen = HashSet::new();
        let names = stated.into_iter().flat_map(|name| match self.by_name.get(&name) {
            Some(region) => self.regions[*region].names.clone(),
            None => vec![name],
        });
        names.filter(|name| seen.insert(name.clone())).collect()
    }
}

impl Region {
    /// Whether a heading's words hold a name or place of this region.
    fn is_named_in(&self, text: &[String]) -> bool {
        self.phrases.iter().any(|phrase| contains_phrase(text, phrase))
    }
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
    words(word).iter().all(|word| THINGS.has(word))
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
