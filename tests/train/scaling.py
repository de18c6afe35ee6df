"""An accelerator that multiplies losses, as fp16 on CUDA needs it, in float32 on the CPU."""

import torch
from accelerate import Accelerator


class Scaling(Accelerator):
    """What the library does for fp16 on CUDA."""

    factor = 1024.0

    def __init__(self):
        super().__init__(mixed_precision="no", cpu=True)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=self.factor)

    def unscale_gradients(self, optimizer=None):
        for one in self._optimizers:
            self.scaler.unscale_(one.optimizer)
