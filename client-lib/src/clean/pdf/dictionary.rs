//! Which entries of a PDF's dictionaries stay.
//!
//! What a page shows is told by lists of what stays; for what may be anything (fonts, functions, resources) there is a
//! list of what goes.

use lopdf::Dictionary;

/// What a dictionary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Catalog,
    Page,
    Picture,
    Form,
    Annotation,
    Field,
    Outline,
    FormOfFields,
    StructureElement,
    /// The appearances of a mark.
    Appearance,
    /// Names chosen by whoever made the document: all of them stay.
    Names,
    Other,
}

const CATALOG: &[&[u8]] = &[
    b"Type",
    b"Version",
    b"Pages",
    b"PageLabels",
    b"Names",
    b"Dests",
    b"ViewerPreferences",
    b"PageLayout",
    b"PageMode",
    b"Outlines",
    b"Lang",
    b"AcroForm",
    b"OCProperties",
    b"StructTreeRoot",
    b"MarkInfo",
    b"OutputIntents",
];
const PAGE: &[&[u8]] = &[
    b"Type",
    b"Parent",
    b"Kids",
    b"Count",
    b"Resources",
    b"MediaBox",
    b"CropBox",
    b"BleedBox",
    b"TrimBox",
    b"ArtBox",
    b"Contents",
    b"Rotate",
    b"Group",
    b"Annots",
    b"StructParents",
    b"Tabs",
    b"UserUnit",
];
const PICTURE: &[&[u8]] = &[
    b"Type",
    b"Subtype",
    b"Width",
    b"Height",
    b"ColorSpace",
    b"BitsPerComponent",
    b"Intent",
    b"ImageMask",
    b"Mask",
    b"Decode",
    b"Interpolate",
    b"SMask",
    b"SMaskInData",
    b"StructParent",
    b"OC",
    b"Filter",
    b"DecodeParms",
    b"Length",
    b"Matte",
];
const FORM: &[&[u8]] = &[
    b"Type",
    b"Subtype",
    b"FormType",
    b"BBox",
    b"Matrix",
    b"Resources",
    b"Group",
    b"StructParent",
    b"StructParents",
    b"OC",
    b"Filter",
    b"DecodeParms",
    b"Length",
];
/// Geometry and appearance; a typed text on the page, which is its content; a form's fields.
const ANNOTATION: &[&[u8]] = &[
    b"Type",
    b"Subtype",
    b"Rect",
    b"F",
    b"AP",
    b"AS",
    b"Border",
    b"BS",
    b"BE",
    b"C",
    b"IC",
    b"CA",
    b"ca",
    b"OC",
    b"StructParent",
    b"Dest",
    b"A",
    b"H",
    b"QuadPoints",
    b"L",
    b"LE",
    b"Vertices",
    b"InkList",
    b"RD",
    b"Q",
    b"DA",
    b"CL",
    b"LL",
    b"LLE",
    b"Cap",
    b"P",
    b"BM",
];
const FIELD: &[&[u8]] = &[
    b"Type",
    b"Subtype",
    b"Rect",
    b"F",
    b"AP",
    b"AS",
    b"Border",
    b"BS",
    b"C",
    b"OC",
    b"StructParent",
    b"A",
    b"H",
    b"P",
    b"FT",
    b"Parent",
    b"Kids",
    b"T",
    b"TU",
    b"Ff",
    b"V",
    b"DV",
    b"DA",
    b"Q",
    b"MaxLen",
    b"Opt",
    b"TI",
    b"I",
    b"MK",
];
const OUTLINE: &[&[u8]] = &[
    b"Type", b"Title", b"Parent", b"Prev", b"Next", b"First", b"Last", b"Count", b"Dest", b"A",
    b"C", b"F", b"SE",
];
const FORM_OF_FIELDS: &[&[u8]] = &[b"Fields", b"NeedAppearances", b"DR", b"DA", b"Q"];
const STRUCTURE: &[&[u8]] = &[
    b"Type",
    b"S",
    b"P",
    b"K",
    b"Pg",
    b"A",
    b"C",
    b"Lang",
    b"Alt",
    b"E",
    b"ActualText",
    b"NS",
    b"Phoneme",
    b"MCID",
    b"Obj",
    b"Stm",
    b"RoleMap",
    b"ClassMap",
    b"Namespaces",
    b"ParentTree",
    b"ParentTreeNextKey",
    b"Nums",
    b"Kids",
    b"Limits",
];
/// What goes wherever it is.
const GONE: &[&[u8]] = &[
    b"Metadata",
    b"PieceInfo",
    b"LastModified",
    b"AF",
    b"Thumb",
    b"AA",
    b"OPI",
    b"OpenAction",
    b"JavaScript",
    b"JS",
    b"EmbeddedFiles",
    b"EF",
    b"Perms",
    b"DSS",
    b"Collection",
    b"CreatorInfo",
    b"User",
    b"Private",
    b"Alternates",
    b"VP",
    b"Measure",
    b"LGIDict",
    b"SpiderInfo",
    b"IDS",
    b"URLS",
    b"Renditions",
    b"Legal",
    b"AlternatePresentations",
    b"SourceModified",
    b"CreationDate",
    b"ModDate",
    b"Author",
    b"Creator",
    b"Producer",
    b"Info",
    b"Lock",
    b"SV",
    b"Reference",
    b"Threads",
    b"ByteRange",
    b"Cert",
    b"FFilter",
    b"FDecodeParms",
    b"Ref",
    b"PresSteps",
    b"Navigator",
];
/// Entries whose value is a dictionary of names chosen by the maker.
const NAMED: &[&[u8]] = &[
    b"Font",
    b"XObject",
    b"ColorSpace",
    b"ExtGState",
    b"Pattern",
    b"Shading",
    b"Properties",
    b"Dests",
    b"CharProcs",
    b"ClassMap",
    b"RoleMap",
    b"RoleMapNS",
    b"Colorants",
    b"Encoding",
];

/// Takes out of a dictionary what goes.
pub(super) fn prune(dictionary: &mut Dictionary, role: Role) {
    let kept = match role {
        Role::Catalog => CATALOG,
        Role::Page => PAGE,
        Role::Picture => PICTURE,
        Role::Form => FORM,
        Role::Annotation => ANNOTATION,
        Role::Field => FIELD,
        Role::Outline => OUTLINE,
        Role::FormOfFields => FORM_OF_FIELDS,
        Role::StructureElement => STRUCTURE,
        Role::Names => return,
        Role::Appearance | Role::Other => {
            retain(dictionary, |key| !GONE.contains(&key) && !key.starts_with(b"PTEX."));
            return;
        }
    };
    retain(dictionary, |key| kept.contains(&key));
}

fn retain(dictionary: &mut Dictionary, keep: impl Fn(&[u8]) -> bool) {
    dictionary.as_hashmap_mut().retain(|key, _| keep(key));
}

/// Whether the value under this key is a dictionary of names.
pub(super) fn holds_names(key: &[u8], role: Role) -> bool {
    match role {
        Role::Names => false,
        Role::Appearance => [&b"N"[..], b"D", b"R"].contains(&key),
        _ => NAMED.contains(&key),
    }
}

/// What a dictionary is, by what it says and by where it was found.
pub(super) fn role(dictionary: &Dictionary, is_stream: bool, found: Role) -> Role {
    let name = |key: &[u8]| dictionary.get(key).ok().and_then(|value| value.as_name().ok());
    match (name(b"Type"), name(b"Subtype")) {
        (Some(b"Catalog"), _) => Role::Catalog,
        (Some(b"Page" | b"Pages"), _) => Role::Page,
        (_, Some(b"Image")) if is_stream => Role::Picture,
        (_, Some(b"Form")) if is_stream => Role::Form,
        (Some(b"StructElem" | b"StructTreeRoot"), _) => Role::StructureElement,
        (_, Some(b"Widget")) => Role::Field,
        (Some(b"Annot"), _) => Role::Annotation,
        (None, _) => found,
        _ if matches!(found, Role::Names) => Role::Other,
        _ => found,
    }
}
