"""Failures of cameras and pictures, 1 to 20."""

from mfl_adapt.doctor.failure import Failure

GEOMETRY = (
    Failure(
        1,
        "subject out of reach",
        "White predictions, or a collapse, with real cameras. The model places a Gaussian at most "
        "1.8 units from the point of its ray nearest the origin; calibrations in millimetres, or "
        "about another origin, put the animal where it cannot reach. A key that nothing read "
        "promised to mend it.",
        ("MFL001", "MFL046"),
        "Keys that nothing reads are errors.",
        ("config/test_loading.py::test_bad_key_or_value_is_one_line_with_its_place",),
    ),
    Failure(
        2,
        "generated views with the cameras of a rig",
        "A reconstructor that was trained on generated views went white. The views had the "
        "geometry of the generator's slots, the camera file that of the laboratory.",
        ("MFL063", "MFL002"),
    ),
    Failure(
        3,
        "look-at matrices that mirror",
        "Cameras of a home-made look-at function had a determinant of -1 and looked away from the "
        "scene.",
        ("MFL003", "MFL013"),
        "Readers refuse such poses before any check runs, under the same code.",
        ("doctor/test_injected_failures.py::test_failure_3_a_mirrored_pose_is_refused",),
    ),
    Failure(
        4,
        "intrinsics overwritten",
        "Ghosts and blur whatever else was tried. Focal length and principal point had been set to "
        "what the model likes, and the pictures left as they were.",
        ("MFL004", "MFL002", "MFL064"),
        "A focal length that is wrong by one factor in all views moves mask centres alike, so "
        "that MFL004 needs crops that differ; the outlines (MFL002) see the rest.",
    ),
    Failure(
        5,
        "subject beside the origin",
        "The calibration's origin was not the animal. Pictures were shifted until it looked right, "
        "which no camera knew of.",
        ("MFL005",),
    ),
    Failure(
        6,
        "every view zoomed on its own",
        "Pictures in which the animal was equally large, graded A, gave inconsistent scenes: each "
        "had its own zoom and shift under an unchanged camera.",
        ("MFL006",),
    ),
    Failure(
        7,
        "cameras moved one by one",
        "Each camera was pulled to the distance that the model likes, without its picture.",
        ("MFL007", "MFL002"),
    ),
    Failure(
        8,
        "another axis upwards",
        "Elevations from -51 to 78 degrees were read off a level rig, as y was taken for up, and "
        "the rig was held to be at fault.",
        ("MFL008",),
        "Commands print angles with their convention, and the published sample must show its 20 "
        "degrees. Which way a picture of an animal is up, no program knows.",
        (
            "cameras/test_rigs.py::test_ring_reproduces_the_upstream_sample",
            "cameras/test_table.py::test_the_published_elevations_of_a_real_rig",
        ),
    ),
    Failure(
        9,
        "slots taken for a ring of 60 degrees",
        "Ten documents had the six views of FaceLift 60 degrees apart; they are at 0, 45, 90, 180, "
        "270 and 315 degrees.",
        ("MFL009",),
        "The slots are data of the base, and only bases with slots are held against them.",
        ("cameras/test_rigs.py::test_slots_by_azimuth",),
    ),
    Failure(
        10,
        "file order taken for direction",
        "Camera 0 to 5 of the rig were fed into front, front right, right, back, left and front "
        "left.",
        ("MFL010",),
        "facelift_cameras.slots assigns cameras to slots by their angles.",
        ("cameras/test_slots.py::test_the_assignment_is_the_best_of_all_permutations",),
    ),
    Failure(
        11,
        "slot cameras without their permutation",
        "FaceLift's camera file is in another order than its views. Whoever took it as it is "
        "reconstructed six views with six wrong cameras.",
        ("MFL011",),
        "The shipped slots have the permutation in them.",
        ("cameras/test_rigs.py::test_slots_are_the_inference_cameras_in_slot_order",),
    ),
    Failure(
        12,
        "cameras made up",
        "A list was read as a mapping, found empty, and default cameras stood in for it.",
        ("MFL012", "MFL002"),
        "Readers make up no camera. A folder of six pictures without camera file stands for "
        "FaceLift's slots, as its layout says, and other pictures then contradict their masks "
        "(MFL002).",
        (
            "doctor/test_injected_failures.py::test_failure_12_lost_camera_files_are_not_made_up",
            "plugins/test_markerless_mouse.py::test_a_wrong_calibration_gives_one_line",
        ),
    ),
    Failure(
        13,
        "OpenGL axes taken for OpenCV",
        "transforms.json was read without turning its axes; cameras looked away from the scene.",
        ("MFL013",),
        "The reader of transforms.json turns them.",
        ("plugins/test_nerf_transforms.py::test_blender",),
    ),
    Failure(
        14,
        "pictures flipped without their cameras",
        "An augmentation mirrored pictures and left cameras as they were. The key that should have "
        "switched it was misspelt, so that it did nothing.",
        ("MFL014", "MFL046"),
        "Unknown keys are errors, and stages change picture, mask and camera by one map.",
        (
            "doctor/test_injected_failures.py::test_failures_1_and_14_keys_that_nothing_reads_are_refused",
        ),
    ),
    Failure(
        15,
        "pixels stretched",
        "Pictures were resized by different factors along x and y, and their cameras by others.",
        ("MFL015",),
        "A picture of another aspect than its camera is refused while it is read.",
        ("doctor/test_injected_failures.py::test_the_doctor_names_it_and_nothing_else",),
    ),
    Failure(
        16,
        "animals cut by the frame",
        "97 % of the views were clipped, as pictures were scaled about their middle and not about "
        "the animal.",
        ("MFL016",),
    ),
    Failure(
        17,
        "centred by the tail",
        "Bounding boxes were centred; a tail moves a box by half its length.",
        ("MFL017",),
        "Centring here is by mass, and turns the camera too.",
        ("plugins/test_preprocess_geometry.py::test_the_centre_of_mass_lands_in_the_middle",),
    ),
    Failure(
        18,
        "unequal sizes taken for a fault",
        "An animal is 2.4 times as large in one view as in another. That is perspective, and "
        "making it equal is failure 6.",
        ("MFL018",),
        "Information only.",
    ),
    Failure(
        19,
        "principal points off the middle",
        "Animals were centred by shifting cx and cy. That is exact, but the model has seen none "
        "but centred ones.",
        ("MFL019",),
    ),
    Failure(
        20,
        "validation next to training",
        "Frames were divided at random. Validation frames had training frames eight frames away, "
        "and scored as well.",
        ("MFL020", "MFL065"),
        "Splits cut blocks of time with a gap between them. Shuffled frames without times are "
        "just frames; data split compares their pictures.",
        (
            "data/test_splits.py::test_sides_never_touch",
            "cli/test_data_command.py::test_split_warns_of_what_both_sides_share",
        ),
    ),
)
