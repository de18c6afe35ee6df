"""Failures of training runs, 21 to 40."""

from mfl_adapt.doctor.failure import Failure

TRAINING = (
    Failure(
        21,
        "as good as a white picture",
        "PSNR stood at 13 to 15 dB, which is what an all-white picture scores.",
        ("MFL021",),
        "Every evaluation scores white and mean-coloured pictures beside the model.",
        ("metrics/test_baselines.py::test_white_scores_by_share_and_contrast",),
    ),
    Failure(
        22,
        "scored on what it was shown",
        "PSNR rose from 15 to 23 dB with more inputs, as five of the six scored views were inputs.",
        ("MFL022",),
        "Held-out views are scored apart from input views, and a policy without held-out views is "
        "refused.",
        ("plugins/test_view_policies.py::test_held_out_views_never_train",),
    ),
    Failure(
        23,
        "gradients of perceptual terms",
        "Gradients of 145 to 531 with VGG and LPIPS on white-dominated pictures of a mouse.",
        ("MFL023",),
    ),
    Failure(
        24,
        "nine of ten steps thrown away",
        "A rule skipped steps with large gradients: 69 of 766 were applied.",
        (),
        "Steps are clipped, and left out only where an fp16 gradient overflows.",
        ("train/test_loop.py::test_a_factor_that_is_too_large_is_halved_and_the_step_tried_again",),
    ),
    Failure(
        25,
        "a clip that never clips",
        "Clipping at 100 let everything through.",
        ("MFL025",),
    ),
    Failure(
        26,
        "learning rates by trial",
        "1e-6 did nothing visible, 1e-4 on all weights forgot the base.",
        ("MFL026",),
        "The base is frozen, and an adapter switched off leaves it bit for bit.",
        ("train/test_run.py::test_switched_off_the_adapter_is_the_base_bit_for_bit",),
    ),
    Failure(
        27,
        "training against inconsistent cameras",
        "Layers were frozen, rates swept and losses swapped, on cameras that contradicted their "
        "pictures; the gradient norm reached 2808.",
        ("MFL027",),
        "train examines the data first and refuses to start where a law is broken.",
        ("train/test_run.py::test_a_broken_law_stops_the_run_unless_forced",),
    ),
    Failure(
        28,
        "the background dominates",
        "The animal covered 5 to 9 % of the picture, so that white was nearly right.",
        ("MFL028",),
    ),
    Failure(
        29,
        "negative SSIM losses",
        "1 - SSIM reached -0.133, from variances in half precision.",
        ("MFL029",),
        "Terms here are computed in float32 and never negative.",
        (
            "plugins/test_masked_loss.py::test_never_negative_and_in_float32_under_autocast",
            "metrics/test_ssim.py::test_flat_areas_never_leave_the_range",
        ),
    ),
    Failure(
        30,
        "SSIM diluted by the background",
        "The mean was taken over all pixels after the background was filled with grey: a tenth of "
        "the signal was left.",
        (),
        "A property of a loss, which no dataset or log shows. Windows here count by the mask that "
        "they hold.",
        ("metrics/test_ssim.py::test_windows_count_by_the_mask_they_hold",),
    ),
    Failure(
        31,
        "the scaler's state out of step",
        "An error of the fp16 scaler, as one branch of a hand-edited loop did not update it.",
        (),
        "An error of a program, not of data. There is one loop, and it is tested with and without "
        "a factor.",
        ("train/test_loop.py::test_handing_the_optimizer_over_changes_no_bit_without_a_factor",),
    ),
    Failure(
        32,
        "masks of everything",
        "Brightness was changed before white was taken for background, and whole pictures became "
        "foreground.",
        ("MFL032",),
    ),
    Failure(
        33,
        "a reference that is its own target",
        "With a random reference view the model learned to copy it: 1500 steps, 91 % of them "
        "useless.",
        (),
        "View 0 is the only reference there is, and a setting for another one is refused with the "
        "reason (MFL046).",
        ("plugins/test_lora_mvdiffusion.py::test_another_reference_is_refused_with_the_reason",),
    ),
    Failure(
        34,
        "view order blamed for blur",
        "A random order of input views was held to make GS-LRM blurry, which it cannot: the "
        "network does not know the order.",
        (),
        "Nothing to look for; a test shows that swapped views swap their Gaussians and change "
        "nothing else.",
        ("models/test_gslrm_model.py::test_swapping_views_swaps_their_gaussians",),
    ),
    Failure(
        35,
        "a grey blob after 20,000 steps",
        "The average of supervision that contradicts itself; the cause is failure 4.",
        ("MFL004", "MFL002"),
    ),
    Failure(
        36,
        "few frames of one animal",
        "51 samples of one animal were learned by heart.",
        ("MFL036",),
    ),
    Failure(
        37,
        "all views with one camera",
        "49.6 dB and six flat billboards: ray embeddings were identical for all views.",
        ("MFL037",),
        "Embeddings of different cameras differ in this program.",
        ("models/test_rays.py::test_points_on_rays_project_to_pixel_centres",),
    ),
    Failure(
        38,
        "nothing left to train",
        "A counter was restored that stood at the end already; training ended at once, or went on "
        "with a learning rate of zero.",
        (),
        "A run that is finished is not resumed: train --resume says that no steps are left. "
        "Doctor tells how many steps of a run were done.",
        ("train/test_resume.py::test_a_finished_run_and_a_missing_one_are_refused",),
    ),
    Failure(
        39,
        "a background that nothing draws",
        "A choice of background colours had no effect: pictures had no alpha, and the renderer "
        "only white.",
        ("MFL039", "MFL049"),
        "A base that makes Gaussians refuses such settings.",
        ("train/test_views_run.py::test_a_reconstructor_refuses_what_is_for_views",),
    ),
    Failure(
        40,
        "out of memory in validation",
        "512 px with LPIPS on 12 GB; validation was switched off, and nobody measured any more.",
        ("MFL040",),
        "Only free memory can be seen before a run; what a step takes depends on the base, and is "
        "measured by the first one.",
    ),
)
