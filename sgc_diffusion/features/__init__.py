"""Networks that look at pictures, shared by analysis, training and metrics.

weights.py    where a file of weights is, and a network filled with it, without one random number
pixels.py     pictures as the networks take them
vgg19.py      feature maps of a VGG19
classifier.py classifiers of the ecosystem behind one interface
grad_cam.py   where a classifier looks
found_objects.py  what a model says of an object
"""
