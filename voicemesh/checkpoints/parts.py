"""The parts of a bundle: their names, and which of them are fitted to which others."""

FACE_MODEL = "head"  # the morphable model

CMP_VOICE = "cmp-voice-encoder"
CMP_FEATURE_VOICE = "cmp-feature-encoder"  # of published features, where the former reads others
CMP_HEAD = "cmp-supervised-head"
CMP_TRAITS = "voice-traits"
CMP_STATISTICS = "cmp-statistics"  # mean shapes, and the errors of the head
CMP_REPEATS = "cmp-repeats"  # what several recordings of a voice have in common
CMP_GENERATOR = "cmp-generator"  # of the small face images of the unsupervised branch
CMP_STUDENT = "cmp-student"  # reads the heads of these images
CMP_TEACHER = "cmp-teacher"  # reads the heads of photographs

SSS_VOICE, SSS_FACE = "sss-voice-encoder", "sss-face-encoder"
SSS_STATISTICS = "sss-statistics"
CMPC_VOICE, CMPC_FACE = "cmpc-voice-encoder", "cmpc-face-encoder"
CMPC_PROTOTYPES = "cmpc-prototypes"

STYLEGAN2_GENERATOR = "stylegan2-generator"
STYLEGAN2_STATISTICS = "stylegan2-statistics"  # of the latents of all portraits
STYLEGAN2_ENCODER = "stylegan2-encoder"  # of pictures, into latents
VOICESTYLE_STATISTICS = "voicestyle-statistics"  # of portraits at rest alone
VOICESTYLE_START = "voicestyle-start"
VOICESTYLE_MEMBERS = "voicestyle-members"  # known faces with their latents
VOICESTYLE_SAMPLES = "voicestyle-samples"  # of the generator, where no faces are known
IDENTITY = "identity-encoder"
LPIPS = "lpips"

SF2F_GENERATOR = "sf2f-generator"
SF2F_FACENET = "sf2f-facenet"
SF2F_VGGFACE = "sf2f-vggface"
VOICE2FACE_VOICE, VOICE2FACE_GENERATOR = "voice2face-voice-encoder", "voice2face-generator"

# Of no use beside other parts of these names than those that it was made for.
FITTED_TO = {
    CMP_FEATURE_VOICE: (CMP_VOICE,),
    CMP_HEAD: (CMP_VOICE, FACE_MODEL),
    CMP_TRAITS: (CMP_VOICE,),
    CMP_STATISTICS: (CMP_VOICE, CMP_HEAD, FACE_MODEL),
    CMP_REPEATS: (CMP_VOICE, CMP_HEAD),
    CMP_GENERATOR: (CMP_VOICE,),
    CMP_STUDENT: (CMP_GENERATOR, FACE_MODEL),
    CMP_TEACHER: (FACE_MODEL,),
    SSS_FACE: (SSS_VOICE,),
    SSS_STATISTICS: (SSS_VOICE, SSS_FACE),
    CMPC_FACE: (CMPC_VOICE,),
    CMPC_PROTOTYPES: (CMPC_VOICE, CMPC_FACE),
    STYLEGAN2_STATISTICS: (STYLEGAN2_GENERATOR,),
    STYLEGAN2_ENCODER: (STYLEGAN2_GENERATOR, STYLEGAN2_STATISTICS),
    VOICESTYLE_STATISTICS: (STYLEGAN2_GENERATOR,),
    VOICESTYLE_START: (STYLEGAN2_GENERATOR, VOICESTYLE_STATISTICS, CMPC_VOICE, CMPC_FACE),
    VOICESTYLE_MEMBERS: (STYLEGAN2_GENERATOR, CMPC_VOICE, CMPC_FACE),
    VOICESTYLE_SAMPLES: (STYLEGAN2_GENERATOR, CMPC_VOICE, CMPC_FACE),
}
