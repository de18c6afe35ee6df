"""Every code of checks and errors: what it is called, and what to do about it.

Guards of training runs have a table of their own.
"""

from typing import NamedTuple


class Code(NamedTuple):
    """A code, in words.

    Attributes:
        title: What is wrong where it is reported.
        remedy: What to do, as a sentence or two.
        error: What refuses it while files are read or settings checked; empty if only a check
            finds it.
    """

    title: str
    remedy: str
    error: str = ""


CODES = {
    "MFL001": Code(
        "subject out of reach",
        "Set data.cameras to facelift_cameras.virtual_camera, which brings the subject to the "
        "origin and the world into the base's unit.",
    ),
    "MFL002": Code(
        "outlines that no body can cast",
        "Find which of picture, mask and camera was changed without the others, and go back to "
        "the recording for it.",
    ),
    "MFL003": Code(
        "a pose that is no rotation",
        "Rebuild poses with x right, y down, z forward, and keep scale out of the rotation.",
        "Readers refuse poses that are no rotation, or not finite.",
    ),
    "MFL004": Code(
        "mask centres that do not meet",
        "Go back to pictures and calibration as recorded; every crop, zoom or shift must change "
        "the intrinsics by the same map.",
    ),
    "MFL005": Code(
        "subject beside the origin",
        "Subtract the subject's position from all camera centres; facelift_cameras does so.",
    ),
    "MFL006": Code(
        "a zoom per view",
        "Prepare the data again with preprocess.sample_scale or facelift_cameras.virtual_camera.",
    ),
    "MFL007": Code(
        "cameras moved without their pictures",
        "Go back to the calibration and scale the world as a whole (facelift_cameras.scene_scale).",
    ),
    "MFL008": Code(
        "another axis upwards", "Turn the world with facelift_cameras.up_axis, so that +z is up."
    ),
    "MFL009": Code(
        "cameras far from their slots",
        "Turn the world with facelift_cameras.slots, and add cameras where slots stay empty.",
    ),
    "MFL010": Code(
        "views out of order", "Let facelift_cameras.slots sort them; never read a number as a side."
    ),
    "MFL011": Code("slots without their permutation", "Take the views in the order that is said."),
    "MFL012": Code(
        "cameras that are not there",
        "Copy the camera file back; cameras are never made up.",
        "Readers refuse samples without cameras.",
    ),
    "MFL013": Code(
        "cameras that look away",
        "Turn OpenGL poses into OpenCV ones: negate the second and third column of c2w.",
    ),
    "MFL014": Code("mirrored pictures", "Take the flip out of preparation or augmentation."),
    "MFL015": Code(
        "stretched pixels",
        "Go back to the picture as recorded, or scale fx and fy by its own two factors.",
        "Readers refuse a picture of another aspect or size than its camera's.",
    ),
    "MFL016": Code("subject cut by the frame", "Use a wider crop or a smaller scale."),
    "MFL017": Code(
        "centred by bounding boxes",
        "Centre with facelift_cameras.virtual_camera or preprocess.com_center.",
    ),
    "MFL018": Code("sizes that differ between views", "Nothing: that is perspective."),
    "MFL019": Code(
        "principal point off the middle",
        "Set a camera normalizer in data.cameras; it resamples the picture.",
    ),
    "MFL020": Code("samples out of time", "Set data.split.by to time."),
    "MFL021": Code(
        "no better than a picture without a model",
        "Examine the data first; if it is sound, look at the samples and train longer.",
    ),
    "MFL022": Code(
        "gains on input views alone", "Check the cameras, and compare with more other views."
    ),
    "MFL023": Code("a perceptual term", "Leave it out until the geometry is learned."),
    "MFL025": Code("a clip that never clips", "Set train.clip to 1."),
    "MFL026": Code(
        "a learning rate out of range", "Set train.lr to 1e-3, or to 1e-4 for a large base."
    ),
    "MFL027": Code("broken laws are ignored", "Mend the data and take train.force away."),
    "MFL028": Code(
        "losses that see half of it", "Use a masked term and a background term together."
    ),
    "MFL029": Code("a negative loss", "Compute the term in float32."),
    "MFL032": Code("a mask of nothing or of everything", "Make the mask again, and look at it."),
    "MFL036": Code(
        "few moments",
        "Take frames from all of the recording, and of all animals.",
        "A dataset that is too small to keep something for validation is refused.",
    ),
    "MFL037": Code("two views with one camera", "Look where the poses are written."),
    "MFL039": Code(
        "settings for another kind of base",
        "Remove the section or the loss that is named.",
        "Settings and losses of one kind of base are refused on the other.",
    ),
    "MFL040": Code("little memory", "End other programs, or make steps smaller."),
    "MFL041": Code(
        "a file that is not there, or another one",
        "Correct the path, or fetch or copy the file again.",
        "Files that a configuration names must exist and have the hash on record.",
    ),
    "MFL042": Code(
        "weights that do not fit",
        "Name the file and the architecture that belong together; mfl-adapt base verify tells.",
        "Checkpoints are read whole and loaded strictly.",
    ),
    "MFL043": Code("a run without its adapter", "Look into checkpoints, or train again."),
    "MFL044": Code(
        "prompt embeddings that say nothing",
        "Make them with mfl-adapt prompts make.",
        "Embeddings must be finite, vary, and differ from view to view.",
    ),
    "MFL045": Code(
        "prompt embeddings of another text tower",
        "Make them with mfl-adapt prompts make --base, from the base's own text tower.",
        "Embeddings must be as wide as the denoiser takes them.",
    ),
    "MFL046": Code(
        "a configuration that cannot be used",
        "Correct the key or value that is named; mfl-adapt config schema lists all.",
        "Unknown keys, missing ones and values out of range are refused with file and line.",
    ),
    "MFL047": Code(
        "no reader, or no such plugin",
        "Name the reader with --set data.reader=NAME, or add the plugin with --plugins.",
        "A component that no active plugin offers, or data that no one reader knows, is refused.",
    ),
    "MFL048": Code(
        "not prepared, or changed since",
        "Prepare the dataset with --set data.cameras.use=facelift_cameras.virtual_camera, or again "
        "if cameras were changed; delete provenance.json if the change was meant.",
        "Pictures that are not square, as recordings have them, are refused where a base needs "
        "square ones.",
    ),
    "MFL049": Code(
        "views that are missing",
        "Find out why the view, or its alpha, is missing, and mend the conversion.",
        "A picture without the alpha or mask that a step needs, and samples with too few views or "
        "with different numbers of them, are refused.",
    ),
    "MFL051": Code(
        "a sample that cannot be read, or is there twice",
        "Copy or export the file again, or take the sample out of the dataset.",
        "Whatever is wrong with a file of a dataset stops its reader, with the file's name.",
    ),
    "MFL052": Code(
        "lists that lead nowhere",
        "Run mfl-adapt doctor DATA --fix, or write the list again, relative to itself.",
        "A list with an entry that is no folder, or is there twice, is refused with the line.",
    ),
    "MFL054": Code(
        "a model in parts",
        "Copy the whole folder again, or fetch it with mfl-adapt base fetch.",
        "The folder of a multi-view diffusion model must hold all its parts.",
    ),
    "MFL055": Code("a full disk", "Delete what old runs left, or write elsewhere."),
    "MFL057": Code("nothing can be drawn", "Install numba, or gsplat and its compiler, again."),
    "MFL058": Code(
        "pictures of too many or too few bits", "Decode 16 bits by dividing by 257, and look again."
    ),
    "MFL063": Code("generated views with other cameras", "Put back the camera file of data synth."),
    "MFL064": Code(
        "camera files with another size",
        "Run mfl-adapt doctor DATA --fix, which writes the pictures' own sizes.",
    ),
    "MFL065": Code("validation next to training", "Set data.split.by to time."),
    "MFL066": Code(
        "an adapter for another base",
        "Install the version of the base's plugin that the passport names.",
        "A base that no installed plugin offers is reported here too.",
    ),
    "MFL067": Code("an adapter without proof", "Evaluate it on held-out views."),
    "MFL068": Code("an adapter that was forced", "Train it on the base it is used with."),
    "MFL069": Code(
        "an adapter folder that is not whole",
        "Fetch or train the adapter again.",
        "Files, hashes, names, shapes and numbers of an adapter are checked when it is read.",
    ),
    "MFL070": Code("a compiler of another CUDA", "Install the CUDA toolkit that torch names."),
    "MFL072": Code("threads that wait for one another", "Set the variable that is named."),
    "MFL073": Code("kernels compiled at every start", "Set NUMBA_CACHE_DIR to a folder."),
    "MFL074": Code(
        "a run that did not end", "Go on with mfl-adapt train --resume RUN, or leave it."
    ),
    "MFL075": Code("a damaged checkpoint", "Delete it; the run goes on from the one before it."),
    "MFL101": Code("another distance than in training", "Nothing: that is a habit, not a law."),
    "MFL102": Code("another focal length than in training", "Nothing: that is a habit."),
}

BRINGS = {
    "MFL001": ("MFL005",),
    "MFL003": ("MFL002", "MFL004", "MFL008", "MFL013"),
    "MFL004": ("MFL002", "MFL005"),
    "MFL006": ("MFL002", "MFL004"),
    "MFL007": ("MFL002",),
    "MFL011": ("MFL010",),
    "MFL013": ("MFL001", "MFL002", "MFL004", "MFL005", "MFL008"),
    "MFL014": ("MFL002", "MFL004"),
    "MFL016": ("MFL032",),
    "MFL017": ("MFL002", "MFL004", "MFL005"),
    "MFL032": ("MFL001", "MFL016", "MFL058"),
    "MFL037": ("MFL001", "MFL002", "MFL004", "MFL005"),
    "MFL051": ("MFL020",),
    "MFL063": ("MFL002", "MFL004", "MFL048"),
}
"""Code to those that come with it, and that may be gone once it is mended.

Where two may bring one another, the worse of both is the cause, and of equals the first.
"""
