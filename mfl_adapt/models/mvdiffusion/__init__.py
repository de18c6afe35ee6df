"""MVDiffusion: a diffusion model that turns one picture into views from fixed directions.

``config`` reads the UNet's configuration and is free of torch; ``attention`` and ``unet`` are the
network, ``folder`` reads a published directory, ``conditioning`` and ``sampling`` make views,
``items`` and ``training`` are one training step, ``frozen`` is the base that the rest of the
library sees.

Letters: B objects, V views per object, N = B * V items (object-major, view-minor: n = b * V + v),
h and w the latent size, P the width of an image embedding, D the width of a text embedding.
"""
