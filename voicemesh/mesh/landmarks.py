"""Names: the 68 landmarks, the measured lengths of a head, the published vertex pairs."""

LANDMARK_GROUPS = {  # iBUG / 300-W order, from the subject's right to the left
    "jaw": range(0, 17),
    "right_brow": range(17, 22),
    "left_brow": range(22, 27),
    "nose_bridge": range(27, 31),
    "nose_base": range(31, 36),
    "right_eye": range(36, 42),
    "left_eye": range(42, 48),
    "outer_lips": range(48, 60),
    "inner_lips": range(60, 68),
}
LANDMARK_NAMES = tuple(
    f"{group}_{number}"
    for group, points in LANDMARK_GROUPS.items()
    for number in range(len(points))
)
MENTON, SELLION, PRONASALE, SUBNASALE = 8, 27, 30, 33
RIGHT_OUTER_CANTHUS, RIGHT_INNER_CANTHUS = 36, 39
LEFT_INNER_CANTHUS, LEFT_OUTER_CANTHUS = 42, 45
RIGHT_CHEILION, LEFT_CHEILION = 48, 54

# Lengths that the population's law draws, in its order; all in millimetres.
LENGTH_LABELS = {
    "head_circumference": "Head circumference",
    "head_length": "Head length",
    "head_breadth": "Head breadth",
    "min_frontal_breadth": "Forehead breadth",
    "bizygomatic": "Cheekbone breadth",
    "bigonial": "Jaw breadth",
    "menton_sellion": "Face length",
    "subnasale_sellion": "Nose length",
    "subnasale_menton": "Lower face height",
    "interpupillary": "Pupil distance",
    "nose_breadth": "Nose breadth",
    "nose_protrusion": "Nose protrusion",
    "lip_length": "Mouth width",
    "chin_height": "Chin height",
    "upper_vermilion": "Upper lip height",
    "ear_length": "Ear length",
    "palpebral_length": "Eye width",
    "neck_circumference": "Neck circumference",
}
LENGTHS = tuple(LENGTH_LABELS)

# The five distances of the published anthropometric ratios. The published vertex pairs are odd:
# one end of `oicd` lies on the cheek bone, `mid` is a horizontal mid-face breadth. A head of our
# own carries the lengths that were meant, under the same names.
RATIO_LABELS = {
    "oicd": "Outer eye corners",
    "fore": "Forehead, at the temples",
    "cheek": "Cheeks",
    "ear": "Ear to ear",
    "mid": "Mid-face",
}
RATIO_LENGTHS = tuple(RATIO_LABELS)
RATIOS = RATIO_LENGTHS[1:]  # each over `oicd`, in the order of the published table

# choyingw/Cross-Modal-Perceptionist, cal_size_ARE.py; 0-based vertices of the 53,215-vertex mesh.
BASEL_VERTICES = 53_215
BASEL_PAIRS = {
    "oicd": (2217, 14607),
    "fore": (1678, 42117),
    "cheek": (2294, 13635),
    "ear": (20636, 34153),
    "mid": (2130, 15003),
}
BASEL_CORRECTED_OICD = (2217, 14195)  # 14195 mirrors 2217: the distance that `oicd` was to be

# cleardusk/3DDFA, keypoints_sim.npy: landmark vertices of the same mesh.
BASEL_LANDMARKS = (
    *(21873, 22149, 21653, 21036, 43236, 44918, 46166, 47135, 47914, 48695, 49667, 50924, 52613),
    *(33678, 33005, 32469, 32709),
    *(38695, 39392, 39782, 39987, 40154, 40893, 41059, 41267, 41661, 42367),
    *(8161, 8177, 8187, 8192, 6515, 7243, 8204, 9163, 9883),
    *(2215, 3886, 4920, 5828, 4801, 3640, 10455, 11353, 12383, 14066, 12653, 11492),
    *(5522, 6025, 7495, 8215, 8935, 10395, 10795, 9555, 8836, 8236, 7636, 6915),
    *(5909, 7384, 8223, 9064, 10537, 8829, 8229, 7629),
)
