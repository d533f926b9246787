//! The hash trees of BEP 52: a file's 16 KiB blocks are hashed into leaves, leaves pairwise into
//! nodes, up to one root that the info dictionary names. What is missing up to a power of two counts
//! as leaves of zeros.
//!
//! Layers are counted from the leaves, which are layer 0. The *piece layer* is the one whose nodes
//! cover a piece each; it comes with the .torrent file, or peers are asked for it. A peer answers a
//! [`HashRequest`] with a row of nodes and their *uncles*, the siblings on the way up, with which
//! the row is checked against a node that is known already.

use super::File;
use crate::types::BLOCK_SIZE;
use crate::wire::HashRequest;
use crate::wire::limits::HASHES_MAX;
use althing_base::Sha256Digest;
use althing_base::hash::Sha256;

/// Nodes in one request of ours: as many as BEP 52 says to ask for at most.
pub const REQUEST_LENGTH: u32 = 512;

/// The parent of two nodes.
pub fn parent(left: &Sha256Digest, right: &Sha256Digest) -> Sha256Digest {
    let mut hasher = Sha256::new();
    hasher.update(&left.0);
    hasher.update(&right.0);
    hasher.finish()
}

/// The node on `layer` over nothing but leaves of zeros.
pub fn padding(layer: u32) -> Sha256Digest {
    (0..layer).fold(Sha256Digest::ZERO, |node, _| parent(&node, &node))
}

/// The root over `leaves`, filled up with zeros to `width`. With no leaves it is that of zeros
/// alone; a width that is less than the leaves or no power of two counts as the next that is not.
pub fn root(leaves: &[Sha256Digest], width: u32) -> Sha256Digest {
    root_above(leaves, 0, width.next_power_of_two().trailing_zeros())
}

/// A file's root over its piece layer. `piece_length` is in bytes.
pub fn layer_root(layer: &[Sha256Digest], piece_length: u32) -> Sha256Digest {
    match layer {
        // The only piece of a file has a tree just as large as it needs.
        [root] => *root,
        layer => root_above(layer, (piece_length / BLOCK_SIZE).max(1).ilog2(), 0),
    }
}

/// How many leaves the tree over a piece has, by the size of the file it is in, in bytes: as many
/// as the piece has blocks, or as the file has if it is but one piece, up to a power of two.
pub fn piece_width(file_size: u64, piece_length: u32) -> u32 {
    let bytes = file_size.min(u64::from(piece_length));
    // At most `piece_length` blocks, so it fits.
    (bytes.div_ceil(u64::from(BLOCK_SIZE)) as u32).next_power_of_two()
}

/// The root of a tree of at least `height` over `nodes` of a layer, filled up with that layer's
/// padding.
fn root_above(nodes: &[Sha256Digest], layer: u32, height: u32) -> Sha256Digest {
    let mut nodes = nodes.to_vec();
    let mut padding = padding(layer);
    let mut climbed = 0;
    while nodes.len() > 1 || climbed < height {
        halve(&mut nodes, &padding);
        padding = parent(&padding, &padding);
        climbed += 1;
    }
    nodes.first().copied().unwrap_or(padding)
}

/// Replaces a row of nodes by their parents.
fn halve(nodes: &mut Vec<Sha256Digest>, padding: &Sha256Digest) {
    for at in 0..nodes.len().div_ceil(2) {
        nodes[at] = parent(&nodes[2 * at], nodes.get(2 * at + 1).unwrap_or(padding));
    }
    nodes.truncate(nodes.len().div_ceil(2));
}

/// The measures of a file's tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TreeShape {
    pieces_root: Sha256Digest,
    /// Blocks of the file, at least one.
    blocks: u32,
    /// Layer of the root.
    height: u32,
    piece_layer: u32,
}

impl TreeShape {
    /// The tree of `file`; `None` if it has none. `piece_length` is in bytes.
    pub fn new(file: &File, piece_length: u32) -> Option<Self> {
        let pieces_root = file.pieces_root?;
        let blocks = u32::try_from(file.size.div_ceil(u64::from(BLOCK_SIZE))).ok()?;
        let height = blocks.checked_next_power_of_two()?.ilog2();
        let piece_layer = (piece_length / BLOCK_SIZE).max(1).ilog2().min(height);
        (blocks > 0).then_some(TreeShape { pieces_root, blocks, height, piece_layer })
    }

    /// The root, by which peers name the file.
    pub fn pieces_root(&self) -> Sha256Digest {
        self.pieces_root
    }

    /// The layer of the root.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The layer whose nodes cover a piece each; the root, if there is only one.
    pub fn piece_layer(&self) -> u32 {
        self.piece_layer
    }

    /// How many nodes of a layer cover any of the file.
    pub fn layer_len(&self, layer: u32) -> u32 {
        1 + (self.blocks - 1).checked_shr(layer).unwrap_or(0)
    }

    /// What to ask peers for to learn the piece layer, as few hashes each as BEP 52 allows, all
    /// with proofs up to the root.
    pub fn piece_layer_requests(&self) -> impl Iterator<Item = HashRequest> + use<> {
        let (root, base) = (self.pieces_root, self.piece_layer);
        let rows = self.height - base;
        let len = REQUEST_LENGTH.min(1 << rows);
        // A tree of one node is known from the start.
        let count = if rows == 0 { 0 } else { self.layer_len(base).div_ceil(len) };
        (0..count).map(move |chunk| HashRequest {
            pieces_root: root,
            base_layer: base,
            index: chunk * len,
            length: len,
            proof_layers: if count == 1 { 0 } else { rows - 1 },
        })
    }

    /// What to ask a peer for to learn the leaves of the file's `piece`-th piece, whose node on the
    /// piece layer is known. `None` if the piece is a single block, or there is none such.
    pub fn leaf_request(&self, piece: u32) -> Option<HashRequest> {
        let length = 1 << self.piece_layer;
        (length > 1 && length <= HASHES_MAX && piece < self.layer_len(self.piece_layer)).then(
            || HashRequest {
                pieces_root: self.pieces_root,
                base_layer: 0,
                index: piece * length,
                length,
                proof_layers: 0,
            },
        )
    }

    /// The piece of the file whose leaves are needed to answer `request`; `None` if the piece
    /// layer is enough.
    pub fn piece_needed(&self, request: &HashRequest) -> Option<u32> {
        let below = self.piece_layer.checked_sub(request.base_layer).filter(|&below| below > 0)?;
        Some(request.index >> below)
    }

    /// Whether `request` is one that BEP 52 allows for this tree: a row of at least two nodes, on
    /// the grid of its own length, within one piece if it is below the piece layer; and no more
    /// uncles than there are layers.
    fn measure(&self, request: &HashRequest) -> Option<Row> {
        let HashRequest { base_layer, index, length, proof_layers, .. } = *request;
        if request.pieces_root != self.pieces_root
            || !(2..=HASHES_MAX).contains(&length)
            || base_layer >= self.height
            || proof_layers >= self.height - base_layer
        {
            return None;
        }
        // A row may be shorter where the layer ends.
        let height = length.next_power_of_two().ilog2();
        let end = index.checked_add(length)?;
        let is_whole = length.is_power_of_two() || end == self.layer_len(base_layer);
        let is_within = base_layer + height <= self.height
            && end <= 1 << (self.height - base_layer)
            && index.is_multiple_of(1 << height)
            && (base_layer >= self.piece_layer || base_layer + height <= self.piece_layer);
        // The first uncle is the sibling of the node over the whole row.
        let uncles = (proof_layers + 1).saturating_sub(height);
        (is_whole && is_within).then_some(Row { top: base_layer + height, uncles })
    }

    /// Checks the hashes that answer `request` against a node that is known: the root, or on the
    /// piece layer one of `layer` if that is known. Gives the row that was asked for, without the
    /// nodes that are nothing but padding.
    ///
    /// # Errors
    /// They are not as many as asked, do not come to what is known, or to nothing that is.
    pub fn verify<'a>(
        &self,
        request: &HashRequest,
        hashes: &'a [Sha256Digest],
        layer: Option<&[Sha256Digest]>,
    ) -> Result<&'a [Sha256Digest], ProofError> {
        let row = self.measure(request).ok_or(ProofError::Request)?;
        let expected = request.length as usize + row.uncles as usize;
        let (nodes, uncles) = hashes
            .split_at_checked(request.length as usize)
            .filter(|_| hashes.len() == expected)
            .ok_or(ProofError::Count { expected, found: hashes.len() })?;
        let mut node = root_above(nodes, request.base_layer, row.top - request.base_layer);
        let mut at = request.index >> (row.top - request.base_layer);
        for uncle in uncles {
            node = if at.is_multiple_of(2) { parent(&node, uncle) } else { parent(uncle, &node) };
            at /= 2;
        }
        let reached = row.top + row.uncles;
        let known = match layer {
            _ if reached == self.height => Some(&self.pieces_root),
            Some(layer) if reached == self.piece_layer => layer.get(at as usize),
            _ => None,
        };
        let known = known.ok_or(ProofError::Request)?;
        if node != *known {
            return Err(ProofError::Hash);
        }
        let real = self.layer_len(request.base_layer).saturating_sub(request.index);
        Ok(&nodes[..nodes.len().min(real as usize)])
    }
}

/// Where a row of nodes ends up.
struct Row {
    /// The layer of the node over all of it.
    top: u32,
    /// How many uncles come with it.
    uncles: u32,
}

/// Why hashes from a peer are not believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// Nothing that can be asked of this tree, or that could be checked.
    #[error("the request does not fit the file's hash tree")]
    Request,
    /// More or fewer than asked for.
    #[error("{found} hashes instead of {expected}")]
    Count {
        /// How many it should be, uncles included.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// They come to another node than the known one.
    #[error("the hashes do not come to the one that is known")]
    Hash,
}

/// The upper part of a file's tree, from its piece layer to the root, for answering requests. It
/// takes as much memory again as the piece layer, and as many hashes to make as that has, so it
/// is worth keeping while peers ask.
#[derive(Clone, Debug)]
pub struct Tree {
    shape: TreeShape,
    /// Rows from the piece layer upwards, without padding.
    rows: Vec<Vec<Sha256Digest>>,
}

impl Tree {
    /// The tree over a piece layer; `None` if it is not that of this file.
    pub fn new(shape: TreeShape, layer: &[Sha256Digest]) -> Option<Self> {
        if layer.len() != shape.layer_len(shape.piece_layer) as usize {
            return None;
        }
        let mut rows = vec![layer.to_vec()];
        let mut padding = padding(shape.piece_layer);
        for _ in shape.piece_layer..shape.height {
            let mut row = rows.last()?.clone();
            halve(&mut row, &padding);
            padding = parent(&padding, &padding);
            rows.push(row);
        }
        (rows.last()?.as_slice() == [shape.pieces_root]).then_some(Tree { shape, rows })
    }

    /// Its measures.
    pub fn shape(&self) -> &TreeShape {
        &self.shape
    }

    /// The answer to `request`: the row, then its uncles upwards. `leaves` are the leaves, without
    /// padding, of the piece that [`TreeShape::piece_needed`] names. `None` if it cannot be
    /// answered and is to be rejected.
    pub fn answer(
        &self,
        request: &HashRequest,
        leaves: &[Sha256Digest],
    ) -> Option<Vec<Sha256Digest>> {
        let row = self.shape.measure(request)?;
        let mut hashes = Vec::with_capacity(request.length as usize + row.uncles as usize);
        let piece = self.piece_rows(request, leaves)?;
        let base = request.base_layer;
        hashes.extend(
            (request.index..).take(request.length as usize).map(|at| self.node(&piece, base, at)),
        );
        let mut at = request.index >> (row.top - base);
        for layer in (row.top..).take(row.uncles as usize) {
            hashes.push(self.node(&piece, layer, at ^ 1));
            at /= 2;
        }
        Some(hashes)
    }

    /// The rows below the piece layer, of one piece, that answering `request` takes.
    fn piece_rows(&self, request: &HashRequest, leaves: &[Sha256Digest]) -> Option<PieceRows> {
        let Some(piece) = self.shape.piece_needed(request) else {
            return Some(PieceRows::default());
        };
        let piece_layer = self.shape.piece_layer;
        let first = piece.checked_mul(1 << piece_layer)?;
        let blocks = self.shape.blocks.checked_sub(first)?.min(1 << piece_layer);
        if leaves.len() != blocks as usize {
            return None;
        }
        let mut rows = vec![leaves.to_vec()];
        let mut padding = Sha256Digest::ZERO;
        for _ in 0..piece_layer {
            let mut row = rows.last()?.clone();
            halve(&mut row, &padding);
            padding = parent(&padding, &padding);
            rows.push(row);
        }
        // Leaves of something else would only get us banned.
        let is_right = rows.pop()?.first() == self.rows.first()?.get(piece as usize);
        is_right.then_some(PieceRows { piece, rows })
    }

    /// A node anywhere in the tree.
    fn node(&self, piece: &PieceRows, layer: u32, at: u32) -> Sha256Digest {
        let found = match layer.checked_sub(self.shape.piece_layer) {
            Some(above) => self.rows.get(above as usize).and_then(|row| row.get(at as usize)),
            None => {
                let first = piece.piece << (self.shape.piece_layer - layer);
                let row = piece.rows.get(layer as usize);
                row.and_then(|row| row.get(at.checked_sub(first)? as usize))
            }
        };
        found.copied().unwrap_or_else(|| padding(layer))
    }
}

/// The rows of one piece, from its leaves upwards, below the piece layer.
#[derive(Default)]
struct PieceRows {
    piece: u32,
    rows: Vec<Vec<Sha256Digest>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::hash::sha256;
    use proptest::prelude::*;

    /// A file of `blocks` different blocks in pieces of `1 << piece_layer` blocks: its leaves, its
    /// piece layer and its measures.
    fn file(blocks: u32, piece_layer: u32) -> (Vec<Sha256Digest>, Vec<Sha256Digest>, TreeShape) {
        let leaves: Vec<_> = (0..blocks).map(|block| sha256(&block.to_be_bytes())).collect();
        let width = (1 << piece_layer).min(blocks.next_power_of_two());
        let layer: Vec<_> = leaves.chunks(width as usize).map(|piece| root(piece, width)).collect();
        let piece_length = BLOCK_SIZE << piece_layer;
        let mut file = File::for_test("f");
        file.size = u64::from(blocks) * u64::from(BLOCK_SIZE) - 7;
        file.pieces_root = Some(layer_root(&layer, piece_length));
        let shape = TreeShape::new(&file, piece_length).expect("a root and bytes");
        (leaves, layer, shape)
    }

    fn leaves_of(leaves: &[Sha256Digest], shape: &TreeShape, piece: u32) -> Vec<Sha256Digest> {
        leaves.chunks(1 << shape.piece_layer).nth(piece as usize).unwrap_or_default().to_vec()
    }

    #[test]
    fn roots_by_hand() {
        let [a, b, c] = [b"a", b"b", b"c"].map(|block| sha256(block));
        assert_eq!(root(&[a], 1), a);
        assert_eq!(root(&[a, b], 2), parent(&a, &b));
        let zero = Sha256Digest::ZERO;
        assert_eq!(root(&[a, b, c], 4), parent(&parent(&a, &b), &parent(&c, &zero)));
        assert_eq!(root(&[a, b, c], 3), root(&[a, b, c], 4));
        assert_eq!(root(&[a], 4), parent(&parent(&a, &zero), &padding(1)));
        assert_eq!(root(&[], 4), padding(2));
        // Pieces of two blocks: what fills the layer up is no zero hash but its parent.
        let layer = [parent(&a, &b), parent(&c, &zero), a];
        let expected = parent(&parent(&layer[0], &layer[1]), &parent(&a, &padding(1)));
        assert_eq!(layer_root(&layer, 2 * BLOCK_SIZE), expected);
    }

    #[test]
    fn the_piece_layer_is_asked_for_in_rows_of_512() {
        let requests = |blocks, piece_layer| {
            let (_, _, shape) = file(blocks, piece_layer);
            shape
                .piece_layer_requests()
                .map(|r| (r.base_layer, r.index, r.length, r.proof_layers))
                .collect::<Vec<_>>()
        };
        assert_eq!(requests(4, 2), []);
        assert_eq!(requests(5, 2), [(2, 0, 2, 0)]);
        assert_eq!(requests(512, 0), [(0, 0, 512, 0)]);
        assert_eq!(requests(1025, 0), [(0, 0, 512, 10), (0, 512, 512, 10), (0, 1024, 512, 10)]);
    }

    #[test]
    fn rows_are_proven_as_bep_52_says() {
        // Eight leaves; a pair of them needs two uncles, and the first proof layer is left out.
        let (leaves, layer, shape) = file(8, 0);
        let tree = Tree::new(shape, &layer).expect("its own layer");
        let request = HashRequest {
            pieces_root: shape.pieces_root,
            base_layer: 0,
            index: 2,
            length: 2,
            proof_layers: 2,
        };
        let left = parent(&leaves[0], &leaves[1]);
        let right = root(&leaves[4..], 4);
        let expected = vec![leaves[2], leaves[3], left, right];
        assert_eq!(tree.answer(&request, &[]), Some(expected.clone()));
        assert_eq!(shape.verify(&request, &expected, None), Ok(&leaves[2..4]));
        // A row of four: one proof layer is implied, one uncle is sent.
        let request = HashRequest { index: 4, length: 4, ..request };
        assert_eq!(
            tree.answer(&request, &[]),
            Some([&leaves[4..], &[root(&leaves[..4], 4)]].concat())
        );
    }

    #[test]
    fn requests_that_do_not_fit_are_refused() {
        let (leaves, layer, shape) = file(13, 2);
        let tree = Tree::new(shape, &layer).expect("its own layer");
        let good = HashRequest {
            pieces_root: shape.pieces_root,
            base_layer: 0,
            index: 4,
            length: 4,
            proof_layers: 3,
        };
        let answer = |request: &HashRequest| {
            let piece = shape.piece_needed(request).unwrap_or(0);
            tree.answer(request, &leaves_of(&leaves, &shape, piece))
        };
        assert!(answer(&good).is_some());
        assert!(
            answer(&HashRequest { base_layer: 2, index: 0, length: 4, proof_layers: 1, ..good })
                .is_some()
        );
        for bad in [
            HashRequest { pieces_root: Sha256Digest::ZERO, ..good },
            HashRequest { length: 0, ..good },
            HashRequest { length: 1, ..good },
            HashRequest { length: 3, ..good },
            HashRequest { index: 2, ..good },
            HashRequest { index: 16, ..good },
            HashRequest { index: u32::MAX - 3, ..good },
            HashRequest { index: 0, length: 8, ..good },
            HashRequest { index: 0, length: u32::MAX, ..good },
            HashRequest { proof_layers: 4, ..good },
            HashRequest { proof_layers: u32::MAX, ..good },
            HashRequest { base_layer: 4, ..good },
            HashRequest { base_layer: u32::MAX, ..good },
            HashRequest { base_layer: 2, index: 0, length: 8, proof_layers: 1, ..good },
        ] {
            assert_eq!(answer(&bad), None, "{bad:?}");
            assert_eq!(shape.verify(&bad, &[], Some(&layer)), Err(ProofError::Request), "{bad:?}");
        }
        // Leaves of another piece.
        assert_eq!(tree.answer(&good, &leaves[..4]), None);
    }

    /// Any request that fits a tree of any shape.
    fn any_request() -> impl Strategy<Value = (u32, u32, HashRequest)> {
        (1..200u32, 0..5u32).prop_flat_map(|(blocks, piece_layer)| {
            let (_, _, shape) = file(blocks, piece_layer);
            let any = (any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>());
            any.prop_map(move |(base, row, index, proof)| {
                let base_layer = base % shape.height.max(1);
                let top =
                    if base_layer < shape.piece_layer { shape.piece_layer } else { shape.height };
                let row = 1 + row % (top - base_layer).max(1);
                let request = HashRequest {
                    pieces_root: shape.pieces_root,
                    base_layer,
                    index: (index % shape.layer_len(base_layer).div_ceil(1 << row)) << row,
                    length: 1 << row,
                    proof_layers: proof % (shape.height - base_layer).max(1),
                };
                (blocks, piece_layer, request)
            })
        })
    }

    proptest! {
        #[test]
        fn what_is_answered_is_believed_and_nothing_else(
            (blocks, piece_layer, request) in any_request(),
            flip in any::<(prop::sample::Index, u8)>(),
        ) {
            let (leaves, layer, shape) = file(blocks, piece_layer);
            let tree = Tree::new(shape, &layer).expect("its own layer");
            let piece = shape.piece_needed(&request);
            let piece_leaves = piece.map(|piece| leaves_of(&leaves, &shape, piece));
            let answer = tree.answer(&request, &piece_leaves.unwrap_or_default());
            prop_assert_eq!(answer.is_some(), shape.height > 0);
            let Some(mut answer) = answer else { return Ok(()) };
            match shape.verify(&request, &answer, Some(&layer)) {
                Ok(row) => {
                    let real = shape.layer_len(request.base_layer) - request.index;
                    prop_assert_eq!(row.len() as u32, request.length.min(real));
                    if request.base_layer == 0 {
                        prop_assert_eq!(row, &leaves[request.index as usize..][..row.len()]);
                    }
                    let at = flip.0.index(answer.len());
                    answer[at].0[usize::from(flip.1) % 32] ^= 1 << (flip.1 >> 5);
                    prop_assert_eq!(
                        shape.verify(&request, &answer, Some(&layer)),
                        Err(ProofError::Hash)
                    );
                    answer.pop();
                    let short = shape.verify(&request, &answer, Some(&layer));
                    prop_assert!(matches!(short, Err(ProofError::Count { .. })), "{:?}", short);
                }
                // A proof that ends below or between what is known proves nothing.
                Err(error) => {
                    prop_assert_eq!(error, ProofError::Request);
                    prop_assert!(request.proof_layers < shape.height - request.base_layer - 1);
                }
            }
        }

        #[test]
        fn a_piece_layer_comes_together_from_answers(blocks in 1..1100u32, piece_layer in 0..3u32) {
            let (leaves, layer, shape) = file(blocks, piece_layer);
            let tree = Tree::new(shape, &layer).expect("its own layer");
            let mut learned = Vec::new();
            for request in shape.piece_layer_requests() {
                let answer = tree.answer(&request, &[]).expect("it fits");
                learned.extend_from_slice(shape.verify(&request, &answer, None).expect("it is right"));
            }
            if layer.len() > 1 {
                prop_assert_eq!(&learned, &layer);
            }
            for piece in 0..layer.len() as u32 {
                let Some(request) = shape.leaf_request(piece) else { continue };
                let piece_leaves = leaves_of(&leaves, &shape, piece);
                let answer = tree.answer(&request, &piece_leaves).expect("it fits");
                prop_assert_eq!(shape.verify(&request, &answer, Some(&layer)), Ok(&piece_leaves[..]));
            }
        }

        #[test]
        fn no_request_makes_it_panic(
            blocks in 1..100u32, piece_layer in 0..4u32,
            base_layer: u32, index: u32, length: u32, proof_layers: u32, small: bool,
        ) {
            let (leaves, layer, shape) = file(blocks, piece_layer);
            let tree = Tree::new(shape, &layer).expect("its own layer");
            let cut = |n: u32| if small { n % 9 } else { n };
            let request = HashRequest {
                pieces_root: shape.pieces_root,
                base_layer: cut(base_layer),
                index: cut(index),
                length: cut(length),
                proof_layers: cut(proof_layers),
            };
            let piece = shape.piece_needed(&request);
            let piece_leaves = piece.map(|piece| leaves_of(&leaves, &shape, piece)).unwrap_or_default();
            if let Some(answer) = tree.answer(&request, &piece_leaves) {
                let checked = shape.verify(&request, &answer, Some(&layer));
                prop_assert!(matches!(checked, Ok(_) | Err(ProofError::Request)), "{:?}", checked);
            }
        }
    }
}
